#include "columns.h"

#include <stdlib.h>

bool buffer_grow(buffer *b, size_t more) {
  if (more > SIZE_MAX / 2 - b->size) return false;
  size_t capacity = b->capacity + b->capacity / 2 + 256;
  if (capacity < b->size + more) capacity = b->size + more;
  uint8_t *data = realloc(b->data, capacity);
  if (!data) return false;
  b->data = data;
  b->capacity = capacity;
  return true;
}

// What a usual batch needs is kept for the next one: memory that is new costs a page fault every 4 KiB.
void buffer_trim(buffer *b) {
  enum { KEPT = 1 << 24 };
  if (b->capacity <= KEPT) return;
  free(b->data);
  *b = (buffer){0};
}

bool buffer_put_varint(buffer *b, uint64_t value) {
  if (!buffer_room(b, 10)) return false;
  while (value > 0x7f) {
    b->data[b->size++] = (uint8_t)value | 0x80;
    value >>= 7;
  }
  b->data[b->size++] = (uint8_t)value;
  return true;
}

static inline uint64_t mix(uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Eight bytes a multiplication. Stable for ever: the series ids that are stored are made with it.
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed) {
  const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd1b54a32d192ed03u, k2 = 0x8cb92ba72f3d8dd7u;
  const uint8_t *p = data;
  // The seed is stirred before the bytes come: else one more in the seed is one less in a byte.
  uint64_t h = mix(seed ^ k2, k1 ^ (size + k0)), tail = 0;
  for (; size > 8; size -= 8, p += 8) h = mix(h ^ load64(p) ^ k2, k1);
  if (size) memcpy(&tail, p, size);
  return mix(mix(h ^ tail ^ k0, k2), k1 ^ size);
}

uint64_t hash_secret;

bool table_open(table *t, const char *name, const column_spec *specs, size_t count) {
  *t = (table){.name = name, .width = count, .columns = calloc(count, sizeof(column))};
  if (!t->columns) return false;
  for (size_t c = 0; c < count; c++) t->columns[c].spec = &specs[c];
  return true;
}

static void words_clear(dictionary *d) {
  enum { SLOTS_KEPT = 1 << 16 };
  d->texts.size = d->entries.size = 0;
  buffer_trim(&d->texts);
  buffer_trim(&d->entries);
  if (d->slots && d->mask >= SLOTS_KEPT) {
    free(d->slots);
    d->slots = NULL;
    d->mask = 0;
  }
  if (d->slots) memset(d->slots, 0, (d->mask + 1) * sizeof(uint32_t));
}

static void words_close(dictionary *d) {
  free(d->texts.data);
  free(d->entries.data);
  free(d->slots);
}

void table_close(table *t) {
  for (size_t c = 0; t->columns && c < t->width; c++) {
    column *col = &t->columns[c];
    free(col->data.data);
    free(col->offsets.data);
    free(col->nulls.data);
    words_close(&col->words);
  }
  free(t->columns);
}

void table_clear(table *t) {
  for (size_t c = 0; c < t->width; c++) {
    column *col = &t->columns[c];
    col->data.size = col->offsets.size = col->nulls.size = 0;
    buffer_trim(&col->data);
    buffer_trim(&col->offsets);
    buffer_trim(&col->nulls);
    col->items = 0;
    if (col->spec->kind == DICTIONARY) words_clear(&col->words);
    if (col->words.entries.size) t->old_words = col->words.entries.size / sizeof(entry);
  }
  t->rows = 0;
  t->out_of_memory = false;
}

void table_mark(table *t) {
  for (size_t c = 0; c < t->width; c++) {
    column *col = &t->columns[c];
    col->mark_data = col->data.size;
    col->mark_offsets = col->offsets.size;
    col->mark_nulls = col->nulls.size;
    col->mark_items = col->items;
    col->words.mark = col->words.entries.size / sizeof(entry);
  }
  t->mark_rows = t->rows;
}

static void words_revert(dictionary *d) {
  const entry *entries = (const entry *)d->entries.data;
  if (d->entries.size / sizeof(entry) == d->mark) return;
  d->texts.size = d->mark ? entries[d->mark - 1].offset + entries[d->mark - 1].size : 0;
  d->entries.size = d->mark * sizeof(entry);
  memset(d->slots, 0, (d->mask + 1) * sizeof(uint32_t));
  for (size_t i = 0; i < d->mark; i++) {
    size_t s = entries[i].hash & d->mask;
    while (d->slots[s]) s = (s + 1) & d->mask;
    d->slots[s] = (uint32_t)i + 1;
  }
}

void table_revert(table *t) {
  for (size_t c = 0; c < t->width; c++) {
    column *col = &t->columns[c];
    col->data.size = col->mark_data;
    col->offsets.size = col->mark_offsets;
    col->nulls.size = col->mark_nulls;
    col->items = col->mark_items;
    words_revert(&col->words);
  }
  t->rows = t->mark_rows;
  t->out_of_memory = false;
}

void table_forget(table *t) {
  for (size_t c = 0; c < t->width; c++)
    if (t->columns[c].spec->kind != DICTIONARY) words_clear(&t->columns[c].words);
  t->first_found = t->rows;
  t->old_words = 0;
}

void put_nullable(table *t, size_t c, bool present, uint64_t value) {
  if (!buffer_put_byte(&t->columns[c].nulls, !present)) t->out_of_memory = true;
  put_u64(t, c, present ? value : 0);
}

static bool append_text(buffer *b, bytes text) {
  size_t size = length_of(text);
  return buffer_room(b, size + 10) && buffer_put_varint(b, size) && buffer_put(b, text.at, size);
}

void put_text(table *t, size_t c, bytes text) {
  if (!append_text(&t->columns[c].data, text)) t->out_of_memory = true;
}

void put_item_text(table *t, size_t c, bytes text) {
  put_text(t, c, text);
  t->columns[c].items++;
}

void end_array(table *t, size_t c) {
  if (!buffer_put(&t->columns[c].offsets, &t->columns[c].items, 8)) t->out_of_memory = true;
}

static bool words_grow(dictionary *d) {
  size_t size = d->slots ? (d->mask + 1) * 2 : 64;
  uint32_t *slots = calloc(size, sizeof(uint32_t));
  if (!slots) return false;
  const entry *entries = (const entry *)d->entries.data;
  size_t count = d->entries.size / sizeof(entry);
  for (size_t i = 0; i < count; i++) {
    size_t s = entries[i].hash & (size - 1);
    while (slots[s]) s = (s + 1) & (size - 1);
    slots[s] = (uint32_t)i + 1;
  }
  free(d->slots);
  d->slots = slots;
  d->mask = size - 1;
  return true;
}

uint32_t word(table *t, size_t c, bytes text) {
  dictionary *d = &t->columns[c].words;
  size_t size = length_of(text), count = d->entries.size / sizeof(entry);
  uint64_t hash = hash_bytes(text.at, size, hash_secret);
  if ((!d->slots || count * 2 > d->mask) && !words_grow(d)) {
    t->out_of_memory = true;
    return 0;
  }
  size_t s = hash & d->mask;
  for (; d->slots[s]; s = (s + 1) & d->mask) {
    const entry *e = (const entry *)d->entries.data + d->slots[s] - 1;
    if (e->hash == hash && e->size == size && (!size || !memcmp(d->texts.data + e->offset, text.at, size)))
      return d->slots[s] - 1;
  }
  size_t before = d->texts.size;
  if (!append_text(&d->texts, text)) {
    t->out_of_memory = true;
    return 0;
  }
  entry e = {hash, d->texts.size - size, size};
  if (!buffer_put(&d->entries, &e, sizeof e)) {
    d->texts.size = before;
    t->out_of_memory = true;
    return 0;
  }
  d->slots[s] = (uint32_t)count + 1;
  return (uint32_t)count;
}

// Where a block goes; without a place it is only measured, by the same code.
typedef struct {
  uint8_t *place;
  size_t size;
} sink;

static void write_bytes(sink *out, const void *data, size_t size) {
  if (out->place && size) memcpy(out->place + out->size, data, size);
  out->size += size;
}

static void write_number(sink *out, uint64_t value) { write_bytes(out, &value, 8); }

static void write_varint(sink *out, uint64_t value) {
  uint8_t byte;
  do {
    byte = (uint8_t)value & 0x7f;
    value >>= 7;
    if (value) byte |= 0x80;
    write_bytes(out, &byte, 1);
  } while (value);
}

static void write_text(sink *out, const char *text) {
  size_t size = strlen(text);
  write_varint(out, size);
  write_bytes(out, text, size);
}

// ClickHouse, SerializationLowCardinality: a version, the width of indexes with flags, the keys, the indexes.
static void write_words(sink *out, const column *col, uint64_t rows) {
  const uint64_t has_keys = 1 << 9, replaces_dictionary = 1 << 10;
  uint64_t keys = col->words.entries.size / sizeof(entry);
  unsigned log_width = keys <= 0x100 ? 0 : keys <= 0x10000 ? 1 : 2;
  write_number(out, log_width | has_keys | replaces_dictionary);
  write_number(out, keys);
  write_bytes(out, col->words.texts.data, col->words.texts.size);
  write_number(out, rows);
  if (out->place) {
    const uint32_t *indexes = (const uint32_t *)col->data.data;
    uint8_t *to = out->place + out->size;
    for (uint64_t i = 0; i < rows; i++) {
      if (log_width == 0) to[i] = (uint8_t)indexes[i];
      if (log_width == 1) memcpy(to + 2 * i, indexes + i, 2);  // the lower half: every target is little-endian
      if (log_width == 2) memcpy(to + 4 * i, indexes + i, 4);
    }
  }
  out->size += rows << log_width;
}

size_t table_native(const table *t, uint8_t *place) {
  sink out = {place, 0};
  write_varint(&out, t->width);
  write_varint(&out, t->rows);
  for (size_t c = 0; c < t->width; c++) {
    const column *col = &t->columns[c];
    write_text(&out, col->spec->name);
    write_text(&out, col->spec->type);
    if (col->spec->kind == DICTIONARY) {
      write_number(&out, 1);
      write_words(&out, col, t->rows);
      continue;
    }
    write_bytes(&out, col->nulls.data, col->nulls.size);
    write_bytes(&out, col->offsets.data, col->offsets.size);
    write_bytes(&out, col->data.data, col->data.size);
  }
  return out.size;
}
