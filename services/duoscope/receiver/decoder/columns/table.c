#include "columns/table.h"

#include <stdlib.h>

#include "columns/hash.h"

bool table_open(table *t, const char *name, const column_spec *specs, size_t count) {
  *t = (table){.name = name, .width = count, .columns = calloc(count, sizeof(column))};
  if (!t->columns) return false;
  for (size_t c = 0; c < count; c++) {
    t->columns[c].spec = &specs[c];
    if (specs[c].kind == OBJECT && !(t->columns[c].object = object_open())) return false;
  }
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
    object_close(col->object);
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
    if (col->object) object_clear(col->object);
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
    if (col->object) object_mark(col->object);
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
    if (col->object) object_revert(col->object);
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

bytes word_at(const table *t, size_t c, uint32_t index) {
  const dictionary *d = &t->columns[c].words;
  if (index >= d->entries.size / sizeof(entry)) return no_bytes();  // there was no memory for it
  const entry *e = (const entry *)d->entries.data + index;
  return (bytes){d->texts.data + e->offset, d->texts.data + e->offset + e->size};
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
