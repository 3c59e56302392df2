#include "counts/known_values.h"

#include <stdlib.h>

#include "columns/hash.h"

enum { VALUES_MAX = 100 };  // of a field and quarter; what comes beyond them is of the others
enum { FIELDS_KNOWN_MAX = 1 << 15, VALUES_KNOWN_MAX = 1 << 17, TEXTS_MAX = 16 << 20 };

void known_forget(known_values *v) {
  free(v->fields.data);
  free(v->values.data);
  free(v->texts.data);
  free(v->field_slots);
  free(v->value_slots);
  *v = (known_values){0};
}

static inline uint64_t stir(uint64_t value, uint64_t seed) {
  const __uint128_t product = (__uint128_t)(value ^ 0x9e3779b97f4a7c15u) * (seed | 1);
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Tables of slots are at most half full, and have a power of two of them.
static bool fields_grow(known_values *v) {
  const known_field *fields = (const known_field *)v->fields.data;
  const size_t count = v->fields.size / sizeof *fields;
  size_t size = 256;
  while (size <= v->field_mask || size < 4 * count) size *= 2;
  uint32_t *slots = calloc(size, sizeof *slots);
  if (!slots) return false;
  for (size_t i = 0; i < count; i++) {
    size_t s = fields[i].hash & (size - 1);
    while (slots[s]) s = (s + 1) & (size - 1);
    slots[s] = (uint32_t)i + 1;
  }
  free(v->field_slots);
  v->field_slots = slots;
  v->field_mask = size - 1;
  return true;
}

static bool values_grow(known_values *v) {
  const size_t size = v->value_slots ? 2 * (v->value_mask + 1) : 1024;
  value_slot *slots = calloc(size, sizeof *slots);
  if (!slots) return false;
  for (size_t i = 0; v->value_slots && i <= v->value_mask; i++) {
    if (!v->value_slots[i].value) continue;
    size_t s = v->value_slots[i].hash & (size - 1);
    while (slots[s].value) s = (s + 1) & (size - 1);
    slots[s] = v->value_slots[i];
  }
  free(v->value_slots);
  v->value_slots = slots;
  v->value_mask = size - 1;
  return true;
}

uint32_t known_field_of(known_values *v, const owner *o, uint32_t quarter, uint64_t base, uint8_t place, bytes name) {
  const size_t size = length_of(name), count = v->fields.size / sizeof(known_field);
  const uint64_t hash = hash_bytes(name.at, size, base + place);
  if (size > FIELD_NAME_BYTES_MAX || ((!v->field_slots || 2 * count > v->field_mask) && !fields_grow(v))) return NO_FIELD;
  size_t s = hash & v->field_mask;
  for (; v->field_slots[s]; s = (s + 1) & v->field_mask)
    if (((const known_field *)v->fields.data)[v->field_slots[s] - 1].hash == hash) return v->field_slots[s] - 1;
  const uint16_t share = hash_bytes(o->tenant_id, sizeof o->tenant_id, hash_secret) & (SHARES - 1);
  const bool is_full = count == FIELDS_KNOWN_MAX || v->fields_of[share] == FIELDS_KNOWN_MAX / 4;
  const known_field made = {.hash = hash, .owner = *o, .name = v->texts.size, .quarter = quarter, .share = share,
                            .name_size = (uint8_t)size, .place = place};
  if (is_full || v->texts.size + size > TEXTS_MAX || !buffer_put(&v->texts, name.at, size)) return NO_FIELD;
  if (!buffer_put(&v->fields, &made, sizeof made)) return NO_FIELD;
  v->fields_of[share]++;
  v->field_slots[s] = (uint32_t)count + 1;
  return (uint32_t)count;
}

// `number`: of what is no text.
static void count_value(known_values *v, uint32_t field, uint64_t hash, uint8_t type, uint64_t number, bytes text,
                        uint32_t count) {
  const size_t size = length_of(text), known = v->values.size / sizeof(known_value);
  known_field *f = known_field_at(v, field);
  if (size > VALUE_BYTES_MAX || ((!v->value_slots || 2 * known > v->value_mask) && !values_grow(v))) {
    f->others += count;
    return;
  }
  size_t s = hash & v->value_mask;
  for (; v->value_slots[s].value; s = (s + 1) & v->value_mask) {
    if (v->value_slots[s].hash != hash) continue;
    v->value_slots[s].count += count;
    return;
  }
  const uint64_t place = type == TEXT_VALUE ? v->texts.size : number;
  const known_value made = {.number = place, .size = (uint32_t)size, .field = field, .type = type};
  const bool is_full = known == VALUES_KNOWN_MAX || v->values_of[f->share] == VALUES_KNOWN_MAX / 4;
  f->is_many |= f->values >= VALUES_MAX;
  if (f->values >= VALUES_MAX || is_full || v->texts.size + size > TEXTS_MAX ||
      !buffer_put(&v->texts, text.at, size) || !buffer_put(&v->values, &made, sizeof made)) {
    f->others += count;
    return;
  }
  f->values++;
  v->values_of[f->share]++;
  v->value_slots[s] = (value_slot){hash, count, (uint32_t)known + 1};
}

void known_text(known_values *v, uint32_t field, bytes text, uint32_t count) {
  if (field == NO_FIELD) return;
  const size_t size = length_of(text);
  const uint64_t hash = size > VALUE_BYTES_MAX ? 0 : hash_bytes(text.at, size, known_field_at(v, field)->hash);
  count_value(v, field, hash, TEXT_VALUE, 0, text, count);
}

void known_word(known_values *v, uint32_t field, uint64_t word_hash, bytes text, uint32_t count) {
  if (field != NO_FIELD) count_value(v, field, stir(word_hash, known_field_at(v, field)->hash), TEXT_VALUE, 0, text, count);
}

void known_number(known_values *v, uint32_t field, uint8_t type, uint64_t number, uint32_t count) {
  if (field == NO_FIELD) return;
  count_value(v, field, stir(number ^ type * 0xd1b54a32d192ed03u, known_field_at(v, field)->hash), type, number, no_bytes(), count);
}

// False: there is too much, or no memory.
static bool keep_some(known_values *v, uint64_t now) {
  const uint64_t current = now / QUARTER;
  const size_t fields = v->fields.size / sizeof(known_field), values = v->values.size / sizeof(known_value);
  if (fields > FIELDS_KNOWN_MAX / 2 || values > VALUES_KNOWN_MAX / 2 || v->texts.size > TEXTS_MAX / 2) return false;
  known_values kept = {0};
  uint32_t *numbers = malloc((fields + 1) * sizeof *numbers);
  bool is_done = numbers != NULL;
  for (size_t i = 0; i < fields && is_done; i++) {
    known_field f = *known_field_at(v, (uint32_t)i);
    numbers[i] = NO_FIELD;
    if (f.quarter + 1ull < current) continue;
    const uint8_t *name = v->texts.data + f.name;
    f.name = kept.texts.size;
    f.values = 0;
    numbers[i] = (uint32_t)(kept.fields.size / sizeof f);
    kept.fields_of[f.share]++;
    is_done = buffer_put(&kept.texts, name, f.name_size) && buffer_put(&kept.fields, &f, sizeof f);
  }
  for (size_t s = 0; v->value_slots && s <= v->value_mask && is_done; s++) {
    if (!v->value_slots[s].value) continue;
    known_value value = ((const known_value *)v->values.data)[v->value_slots[s].value - 1];
    if (value.type == FORGOTTEN || numbers[value.field] == NO_FIELD) continue;
    value.field = numbers[value.field];
    known_field_at(&kept, value.field)->values++;
    kept.values_of[known_field_at(&kept, value.field)->share]++;
    if (value.type == TEXT_VALUE) {
      const uint8_t *text = v->texts.data + value.number;
      value.number = kept.texts.size;
      is_done = buffer_put(&kept.texts, text, value.size);
    }
    const size_t known = kept.values.size / sizeof value;
    const bool has_slots = (kept.value_slots && 2 * known < kept.value_mask) || values_grow(&kept);
    is_done = is_done && has_slots && buffer_put(&kept.values, &value, sizeof value);
    if (!is_done) break;
    size_t to = v->value_slots[s].hash & kept.value_mask;
    while (kept.value_slots[to].value) to = (to + 1) & kept.value_mask;
    kept.value_slots[to] = (value_slot){v->value_slots[s].hash, 0, (uint32_t)known + 1};
  }
  is_done = is_done && fields_grow(&kept);
  free(numbers);
  known_forget(is_done ? v : &kept);
  if (is_done) *v = kept;
  return is_done;
}

void known_keep(known_values *v, uint64_t now) {
  if (!keep_some(v, now)) known_forget(v);
}
