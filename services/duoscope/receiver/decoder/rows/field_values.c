#include "rows/field_values.h"

#include <stdlib.h>

#include "columns/hash.h"
#include "decoder.h"
#include "rows/emit.h"
#include "values/any_value.h"
#include "values/numbers.h"
#include "values/utf8.h"

enum { VALUES_MAX = 100 };         // of a field and quarter; what comes beyond them is of the others
enum { VALUE_BYTES_MAX = 256 };    // a longer text is of the others
enum { FIELDS_KNOWN_MAX = 1 << 15, VALUES_KNOWN_MAX = 1 << 17, TEXTS_MAX = 16 << 20 };
enum { NAME_BYTES_MAX = OBJECT_NAME_BYTES_MAX };
enum place { FIELD = 1, ATTRIBUTES, RESOURCE };            // as the table numbers them
enum type { OTHERS = 0, TEXT_VALUE, BOOL_VALUE, INT_VALUE, DOUBLE_VALUE, FORGOTTEN };  // but for the last one
static const uint64_t QUARTER = 900ull * 1000000000u;

#define NO_FIELD UINT32_MAX
#define COUNT_COLUMNS(COLUMN)                                                                     \
  COLUMN(TIME_OF, "quarter", AS_DATE_TIME)                                                        \
  COLUMN(SIGNAL, "signal", AS_ENUM("'traces' = 1, 'logs' = 2, 'metrics' = 3"))                    \
  COLUMN(PLACE, "place", AS_ENUM("'field' = 1, 'attributes' = 2, 'resource' = 3"))                \
  COLUMN(NAME, "name", AS_WORD)                                                                   \
  COLUMN(TYPE, "type", AS_ENUM("'other' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4")) \
  COLUMN(VALUE, "value", AS_TEXT)                                                                 \
  COLUMN(COUNT, "count", AS_U64)
enum { BEFORE_COUNT_COLUMNS = OWNER_END - 1, COUNT_COLUMNS(COLUMN_ID) COLUMNS };
static const column_spec COUNTS[] = {OWNER_COLUMNS(COLUMN_SPEC) COUNT_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(COUNTS, COLUMNS);

typedef struct {
  uint64_t hash;
  owner owner;
  uint64_t others;  // not in rows yet
  size_t name;      // where it is in `texts`
  uint32_t quarter, values;
  uint8_t name_size, place;
  bool is_many;     // it had more values than are told apart
} known_field;

typedef struct {
  uint64_t number;  // of a text, where it is in `texts`
  uint32_t size, field, total;
  uint8_t type;
} known_value;

struct value_slot {
  uint64_t hash;
  uint32_t count;  // not in rows yet
  uint32_t value;  // its number plus one; 0: the slot is free
};

typedef struct {
  uint64_t first_row;
  size_t first_value;
} resource;

typedef struct {
  size_t name, text;
  uint64_t number;
  uint32_t text_size;
  uint8_t name_size, type;
} resource_value;

static const uint8_t TYPES[OBJECT_TYPES] = {
    [OBJECT_BOOL] = BOOL_VALUE, [OBJECT_DOUBLE] = DOUBLE_VALUE, [OBJECT_INT] = INT_VALUE, [OBJECT_TEXT] = TEXT_VALUE};

bool field_values_open(decoder *d, const counted_columns *of) {
  d->field_values.of = of;
  d->field_values.table = d->table_count++;
  return table_open(&d->tables[d->field_values.table], "field_values", COUNTS, COLUMNS);
}

static void forget(field_values *v) {
  free(v->fields.data);
  free(v->values.data);
  free(v->texts.data);
  free(v->field_slots);
  free(v->value_slots);
  v->fields = v->values = v->texts = (buffer){0};
  v->field_slots = NULL;
  v->value_slots = NULL;
  v->field_mask = v->value_mask = 0;
}

void field_values_close(field_values *v) {
  forget(v);
  free(v->resources.data);
  free(v->resource_values.data);
  free(v->resource_texts.data);
}

void field_values_mark(field_values *v) {
  buffer *of_request[] = {&v->resources, &v->resource_values, &v->resource_texts};
  for (size_t i = 0; i < sizeof of_request / sizeof *of_request; i++) {
    of_request[i]->size = 0;
    buffer_trim(of_request[i]);
  }
}

static inline uint64_t stir(uint64_t value, uint64_t seed) {
  const __uint128_t product = (__uint128_t)(value ^ 0x9e3779b97f4a7c15u) * (seed | 1);
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Tables of slots are at most half full, and have a power of two of them.
static bool fields_grow(field_values *v) {
  const size_t size = v->field_slots ? 2 * (v->field_mask + 1) : 256;
  uint32_t *slots = calloc(size, sizeof *slots);
  if (!slots) return false;
  const known_field *fields = (const known_field *)v->fields.data;
  for (size_t i = 0; i < v->fields.size / sizeof *fields; i++) {
    size_t s = fields[i].hash & (size - 1);
    while (slots[s]) s = (s + 1) & (size - 1);
    slots[s] = (uint32_t)i + 1;
  }
  free(v->field_slots);
  v->field_slots = slots;
  v->field_mask = size - 1;
  return true;
}

static bool values_grow(field_values *v) {
  const size_t size = v->value_slots ? 2 * (v->value_mask + 1) : 1024;
  struct value_slot *slots = calloc(size, sizeof *slots);
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

// The number of a field, known by a hash that nobody can aim at; `base` is that of the owner and the quarter.
static uint32_t field_of(field_values *v, const owner *o, uint32_t quarter, uint64_t base, uint8_t place, bytes name) {
  const size_t size = length_of(name), count = v->fields.size / sizeof(known_field);
  const uint64_t hash = hash_bytes(name.at, size, base + place);
  if (size > NAME_BYTES_MAX || ((!v->field_slots || 2 * count > v->field_mask) && !fields_grow(v))) return NO_FIELD;
  size_t s = hash & v->field_mask;
  for (; v->field_slots[s]; s = (s + 1) & v->field_mask)
    if (((const known_field *)v->fields.data)[v->field_slots[s] - 1].hash == hash) return v->field_slots[s] - 1;
  const known_field made = {.hash = hash, .owner = *o, .name = v->texts.size, .quarter = quarter, .name_size = (uint8_t)size, .place = place};
  if (count == FIELDS_KNOWN_MAX || v->texts.size + size > TEXTS_MAX || !buffer_put(&v->texts, name.at, size)) return NO_FIELD;
  if (!buffer_put(&v->fields, &made, sizeof made)) return NO_FIELD;
  v->field_slots[s] = (uint32_t)count + 1;
  return (uint32_t)count;
}

static inline known_field *field_at(const field_values *v, uint32_t field) { return (known_field *)v->fields.data + field; }

// A value that came `count` times more. `number`: of what is no text.
static void count_value(field_values *v, uint32_t field, uint64_t hash, uint8_t type, uint64_t number, bytes text, uint32_t count) {
  if (field == NO_FIELD) return;
  const size_t size = length_of(text), known = v->values.size / sizeof(known_value);
  known_field *f = field_at(v, field);
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
  const known_value made = {.number = type == TEXT_VALUE ? v->texts.size : number, .size = (uint32_t)size, .field = field, .type = type};
  f->is_many |= f->values >= VALUES_MAX;
  if (f->values >= VALUES_MAX || known == VALUES_KNOWN_MAX || v->texts.size + size > TEXTS_MAX ||
      !buffer_put(&v->texts, text.at, size) || !buffer_put(&v->values, &made, sizeof made)) {
    f->others += count;
    return;
  }
  f->values++;
  v->value_slots[s] = (struct value_slot){hash, count, (uint32_t)known + 1};
}

static inline void count_text(field_values *v, uint32_t field, bytes text, uint32_t count) {
  if (field == NO_FIELD) return;
  const size_t size = length_of(text);
  const uint64_t hash = size > VALUE_BYTES_MAX ? 0 : hash_bytes(text.at, size, field_at(v, field)->hash);
  count_value(v, field, hash, TEXT_VALUE, 0, text, count);
}

static inline void count_number(field_values *v, uint32_t field, uint8_t type, uint64_t number, uint32_t count) {
  if (field == NO_FIELD) return;
  count_value(v, field, stir(number, field_at(v, field)->hash + type), type, number, no_bytes(), count);
}

// --- What a request left.

void field_values_resource(decoder *d) {
  field_values *v = &d->field_values;
  if (!v->is_counting) return;
  const resource begun = {d->tables[0].rows, v->resource_values.size / sizeof(resource_value)};
  if (!buffer_put(&v->resources, &begun, sizeof begun)) return;
  for (size_t i = 0; i < d->resource_pairs.count; i++) {
    bytes key, value;
    any_value any;
    if (read_pair(d, d->resource_pairs.items[i], &key, &value) != OK || read_any(d, value, &any) != OK) continue;
    resource_value kept = {.name = v->resource_texts.size, .number = any.number};
    bytes text = no_bytes();
    switch (any.kind) {
      case STRING:
        kept.type = TEXT_VALUE;
        text = any.range;
        break;
      case BOOL:
        kept.type = BOOL_VALUE;
        kept.number = any.number != 0;
        break;
      case INT: kept.type = INT_VALUE; break;
      case DOUBLE: kept.type = DOUBLE_VALUE; break;
      default: continue;
    }
    if (length_of(key) > NAME_BYTES_MAX || !is_utf8(key) || !is_utf8(text)) continue;
    if (length_of(text) > VALUE_BYTES_MAX) text.end = text.at + VALUE_BYTES_MAX + 1;  // which is too long, too
    kept.name_size = (uint8_t)length_of(key);
    kept.text_size = (uint32_t)length_of(text);
    kept.text = v->resource_texts.size + kept.name_size;
    if (!buffer_put(&v->resource_texts, key.at, kept.name_size) || !buffer_put(&v->resource_texts, text.at, kept.text_size) ||
        !buffer_put(&v->resource_values, &kept, sizeof kept))
      return;
  }
}

// Where reading is in the attributes of a table's rows.
typedef struct {
  const uint8_t *values[OBJECT_PATHS_MAX][OBJECT_TYPES], *other_names, *other_values;
} cursors;

static uint64_t take_varint(const uint8_t **at) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const uint8_t byte = *(*at)++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

static bytes take_text(const uint8_t **at) {
  const size_t size = take_varint(at);
  const bytes text = {*at, *at + size};
  *at += size;
  return text;
}

// What the rows from `begin` up to `end` have: all of one owner, and in one quarter.
typedef struct {
  uint64_t begin, end, base;
  uint32_t quarter;
} run;

static uint32_t field_in(decoder *d, const run *r, uint8_t place, bytes name) {
  return field_of(&d->field_values, &d->owner, r->quarter, r->base, place, name);
}

static void count_words(decoder *d, const run *r, const counted_field *f, const column *c) {
  field_values *v = &d->field_values;
  const bytes name = {(const uint8_t *)f->name, (const uint8_t *)f->name + strlen(f->name)};
  const uint32_t field = field_in(d, r, FIELD, name), *words = (const uint32_t *)c->data.data;
  const entry *entries = (const entry *)c->words.entries.data;
  if (field == NO_FIELD) return;
  const uint64_t seed = field_at(v, field)->hash;
  for (uint64_t row = r->begin, next; row < r->end; row = next) {
    for (next = row + 1; next < r->end && words[next] == words[row];) next++;
    const entry *e = &entries[words[row]];
    const uint8_t *text = c->words.texts.data + e->offset;
    if (e->size) count_value(v, field, stir(e->hash, seed), TEXT_VALUE, 0, (bytes){text, text + e->size}, (uint32_t)(next - row));
  }
}

static void count_choices(decoder *d, const run *r, const counted_field *f, const column *c) {
  uint32_t counts[UINT8_MAX + 1] = {0};
  for (uint64_t row = r->begin; row < r->end; row++) counts[c->data.data[row]]++;
  const bytes name = {(const uint8_t *)f->name, (const uint8_t *)f->name + strlen(f->name)};
  const uint32_t field = field_in(d, r, FIELD, name);
  for (size_t i = 0; i < f->choice_count; i++) {
    if (!counts[i] || !f->choices[i]) continue;
    const uint8_t *text = (const uint8_t *)f->choices[i];
    count_text(&d->field_values, field, (bytes){text, text + strlen(f->choices[i])}, counts[i]);
  }
}

static void count_path(decoder *d, const run *r, const object_path *p, const uint8_t *at[OBJECT_TYPES]) {
  field_values *v = &d->field_values;
  const uint64_t end = r->end < p->types.size ? r->end : p->types.size;
  uint32_t field = NO_FIELD;
  bool is_known = false;
  for (uint64_t row = r->begin; row < end; row++) {
    const uint8_t type = p->types.data[row];
    if (type >= OBJECT_TYPES) continue;
    if (!is_known) field = field_in(d, r, ATTRIBUTES, (bytes){p->name, p->name + p->name_size});
    is_known = true;
    if (type == OBJECT_TEXT) {
      count_text(v, field, take_text(&at[type]), 1);
      continue;
    }
    const size_t width = type == OBJECT_BOOL ? 1 : 8;
    uint64_t number = 0;
    memcpy(&number, at[type], width);
    at[type] += width;
    count_number(v, field, TYPES[type], number, 1);
  }
}

// Names without a column, escaped; of each value its size, the number of its type, and itself (see object.c).
static void count_others(decoder *d, const run *r, const object *o, cursors *c) {
  const uint64_t *ends = (const uint64_t *)o->offsets.data, rows = o->offsets.size / sizeof *ends;
  for (uint64_t row = r->begin; row < r->end && row < rows; row++) {
    for (uint64_t i = row ? ends[row - 1] : 0; i < ends[row]; i++) {
      uint8_t name[NAME_BYTES_MAX];
      size_t size = 0;
      const bytes escaped = take_text(&c->other_names);
      for (const uint8_t *from = escaped.at; from < escaped.end && size < sizeof name; from++) {
        name[size++] = *from == '%' ? '.' : *from;
        if (*from == '%') from += 2;
      }
      bytes value = take_text(&c->other_values);
      const uint32_t field = field_in(d, r, ATTRIBUTES, (bytes){name, name + size});
      const uint8_t code = *value.at++;
      uint64_t number = 0;
      switch (code) {
        case 0x15: count_text(&d->field_values, field, take_text(&value.at), 1); continue;
        case 0x2d: count_number(&d->field_values, field, BOOL_VALUE, *value.at, 1); continue;
        default:
          memcpy(&number, value.at, sizeof number);
          count_number(&d->field_values, field, code == 0x0a ? INT_VALUE : DOUBLE_VALUE, number, 1);
      }
    }
  }
}

static void count_resources(decoder *d, const run *r) {
  field_values *v = &d->field_values;
  const resource *resources = (const resource *)v->resources.data;
  const resource_value *values = (const resource_value *)v->resource_values.data;
  const size_t count = v->resources.size / sizeof *resources, all = v->resource_values.size / sizeof *values;
  for (size_t i = 0; i < count && resources[i].first_row < r->end; i++) {
    const uint64_t end_row = i + 1 < count ? resources[i + 1].first_row : UINT64_MAX;
    const uint64_t begin = resources[i].first_row > r->begin ? resources[i].first_row : r->begin;
    const uint64_t end = end_row < r->end ? end_row : r->end;
    if (begin >= end) continue;
    const uint32_t rows = (uint32_t)(end - begin);
    for (size_t n = resources[i].first_value; n < (i + 1 < count ? resources[i + 1].first_value : all); n++) {
      const uint8_t *name = v->resource_texts.data + values[n].name, *text = v->resource_texts.data + values[n].text;
      const uint32_t field = field_in(d, r, RESOURCE, (bytes){name, name + values[n].name_size});
      if (values[n].type == TEXT_VALUE) {
        count_text(v, field, (bytes){text, text + values[n].text_size}, rows);
      } else {
        count_number(v, field, values[n].type, values[n].number, rows);
      }
    }
  }
}

static void count_run(decoder *d, run *r, cursors *c) {
  const counted_columns *of = d->field_values.of;
  const column *columns = d->tables[0].columns;
  const object *o = columns[of->attributes].object;
  const struct {
    owner owner;
    uint64_t quarter;
  } key = {d->owner, r->quarter};
  r->base = hash_bytes(&key, sizeof key, hash_secret);
  for (size_t i = 0; i < of->count; i++)
    (of->fields[i].choices ? count_choices : count_words)(d, r, &of->fields[i], &columns[of->fields[i].column]);
  for (size_t i = 0; i < o->count; i++) count_path(d, r, &o->paths[i], c->values[i]);
  if (o->others > o->mark_others) count_others(d, r, o, c);
  count_resources(d, r);
}

void field_values_request(decoder *d) {
  field_values *v = &d->field_values;
  const table *t = &d->tables[0];
  if (!v->is_counting || t->rows == t->mark_rows) return;
  const uint64_t *times = (const uint64_t *)t->columns[v->of->time].data.data;
  const object *o = t->columns[v->of->attributes].object;
  cursors c = {.other_names = o->other_names.data + o->mark_other_names, .other_values = o->other_values.data + o->mark_other_values};
  for (size_t i = 0; i < o->count; i++)
    for (size_t type = 0; type < OBJECT_TYPES; type++)
      c.values[i][type] = o->paths[i].values[type].data + (i < o->mark_count ? o->paths[i].mark_values[type] : 0);
  for (run r = {.begin = t->mark_rows}; r.begin < t->rows; r.begin = r.end) {
    r.quarter = (uint32_t)(times[r.begin] / QUARTER);
    const uint64_t from = r.quarter * QUARTER;
    for (r.end = r.begin + 1; r.end < t->rows && times[r.end] - from < QUARTER;) r.end++;
    count_run(d, &r, &c);
  }
}

// --- Rows.

static void put_count(decoder *d, const known_field *f, uint8_t type, bytes value, uint64_t count) {
  table *t = &d->tables[d->field_values.table];
  const uint8_t *name = d->field_values.texts.data + f->name;
  put(t, C_ORGANIZATION, f->owner.organization_id, 16);
  put(t, C_WORKSPACE, f->owner.workspace_id, 16);
  put(t, C_TENANT, f->owner.tenant_id, 16);
  put_u16(t, C_RETENTION, (uint16_t)f->owner.retention_days);
  put_u32(t, TIME_OF, f->quarter * 900);
  put_u8(t, SIGNAL, (uint8_t)(d->signal + 1));
  put_u8(t, PLACE, f->place);
  put_word(t, NAME, (bytes){name, name + f->name_size});
  put_u8(t, TYPE, type);
  put_text(t, VALUE, value);
  put_u64(t, COUNT, count);
  t->rows++;
}

static void put_value(decoder *d, const known_value *value, uint64_t count) {
  const field_values *v = &d->field_values;
  const known_field *f = field_at(v, value->field);
  char digits[DOUBLE_CHARS_MAX];
  double number;
  size_t size = 0;
  switch (value->type) {
    case TEXT_VALUE: put_count(d, f, value->type, (bytes){v->texts.data + value->number, v->texts.data + value->number + value->size}, count); return;
    case BOOL_VALUE:
      size = value->number ? 4 : 5;
      memcpy(digits, value->number ? "true" : "false", size);
      break;
    case INT_VALUE: size = write_int(digits, (int64_t)value->number); break;
    default:
      memcpy(&number, &value->number, sizeof number);
      if (number != number || number - number != 0) {
        const char *name = number != number ? "nan" : number > 0 ? "inf" : "-inf";
        size = strlen(name);
        memcpy(digits, name, size);
      } else {
        size = write_double(digits, number);
      }
  }
  put_count(d, f, value->type, (bytes){(uint8_t *)digits, (uint8_t *)digits + size}, count);
}

// Keeps what may come again: fields of this quarter and the one before, and of one with many values those that came twice.
static bool keep_known(field_values *v, uint64_t now) {
  const uint64_t oldest = now / QUARTER - 1;
  if (v->fields.size / sizeof(known_field) > FIELDS_KNOWN_MAX / 2 || v->values.size / sizeof(known_value) > VALUES_KNOWN_MAX / 2 ||
      v->texts.size > TEXTS_MAX / 2)
    return false;
  field_values kept = {0};
  const size_t count = v->fields.size / sizeof(known_field);
  uint32_t *numbers = malloc((count + 1) * sizeof *numbers);
  bool is_done = numbers != NULL;
  for (size_t i = 0; i < count && is_done; i++) {
    known_field f = *field_at(v, (uint32_t)i);
    numbers[i] = NO_FIELD;
    if (f.quarter < oldest) continue;
    const uint8_t *name = v->texts.data + f.name;
    f.name = kept.texts.size;
    f.values = 0;
    numbers[i] = (uint32_t)(kept.fields.size / sizeof f);
    is_done = buffer_put(&kept.texts, name, f.name_size) && buffer_put(&kept.fields, &f, sizeof f);
  }
  for (size_t s = 0; v->value_slots && s <= v->value_mask && is_done; s++) {
    if (!v->value_slots[s].value) continue;
    known_value value = ((const known_value *)v->values.data)[v->value_slots[s].value - 1];
    if (value.type == FORGOTTEN || numbers[value.field] == NO_FIELD) continue;
    const uint8_t *text = v->texts.data + value.number;
    value.field = numbers[value.field];
    field_at(&kept, value.field)->values++;
    if (value.type == TEXT_VALUE) {
      value.number = kept.texts.size;
      is_done = buffer_put(&kept.texts, text, value.size);
    }
    const size_t known = kept.values.size / sizeof value;
    is_done = is_done && buffer_put(&kept.values, &value, sizeof value) && ((kept.value_slots && 2 * known < kept.value_mask) || values_grow(&kept));
    if (!is_done) break;
    size_t to = v->value_slots[s].hash & kept.value_mask;
    while (kept.value_slots[to].value) to = (to + 1) & kept.value_mask;
    kept.value_slots[to] = (struct value_slot){v->value_slots[s].hash, 0, (uint32_t)known + 1};
  }
  while (is_done && (!kept.field_slots || kept.fields.size / sizeof(known_field) * 2 > kept.field_mask)) is_done = fields_grow(&kept);
  free(numbers);
  forget(is_done ? v : &kept);
  if (!is_done) return false;
  v->fields = kept.fields;
  v->values = kept.values;
  v->texts = kept.texts;
  v->field_slots = kept.field_slots;
  v->value_slots = kept.value_slots;
  v->field_mask = kept.field_mask;
  v->value_mask = kept.value_mask;
  return true;
}

void field_values_flush(decoder *d) {
  field_values *v = &d->field_values;
  if (!v->of) return;
  for (size_t s = 0; v->value_slots && s <= v->value_mask; s++) {
    struct value_slot *slot = &v->value_slots[s];
    if (!slot->value) continue;
    known_value *value = (known_value *)v->values.data + slot->value - 1;
    known_field *f = field_at(v, value->field);
    value->total += slot->count;
    if (f->is_many && value->total == 1) {
      f->others += slot->count;
      value->type = FORGOTTEN;
    } else if (slot->count) {
      put_value(d, value, slot->count);
    }
    slot->count = 0;
  }
  for (size_t i = 0; i < v->fields.size / sizeof(known_field); i++) {
    known_field *f = field_at(v, (uint32_t)i);
    if (f->others) put_count(d, f, OTHERS, no_bytes(), f->others);
    f->others = 0;
  }
  if (!keep_known(v, d->limits.now)) forget(v);
}
