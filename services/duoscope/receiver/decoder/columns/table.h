// Columns that grow row by row, and their form in ClickHouse's Native format.
//
// A table is a list of columns. Rows of a request are appended and, should the request turn out malformed, taken back to a
// mark. A dictionary column (LowCardinality) keeps each text once and an index a row.
#ifndef DUOSCOPE_TABLE_H
#define DUOSCOPE_TABLE_H

#include "columns/buffer.h"
#include "columns/object.h"
#include "columns/specs.h"

typedef struct {
  uint64_t hash;
  size_t offset, size;  // of the text in `texts`
} entry;

typedef struct {
  buffer texts;    // as Native wants them: a length and the text, one after the other
  buffer entries;  // of `entry`
  size_t mark;     // how many there were
  uint32_t *slots; // index of an entry plus one; 0 is free
  size_t mask;
} dictionary;

typedef struct {
  const column_spec *spec;
  buffer data;     // values, texts, indexes of a dictionary, or the items of arrays
  buffer offsets;  // of arrays: where each row's items end
  buffer nulls;    // of nullable columns: a byte a row
  uint64_t items;  // of arrays: how many in all
  dictionary words;
  object *object;  // of OBJECT
  size_t mark_data, mark_offsets, mark_nulls;
  uint64_t mark_items;
} column;

typedef struct {
  const char *name;
  column *columns;
  size_t width;
  uint64_t rows, mark_rows;
  // Of tables whose rows are found by a dictionary: words that earlier batches have rows of, and the row of the first other.
  uint64_t old_words, first_found;
  bool out_of_memory;
} table;

bool table_open(table *t, const char *name, const column_spec *specs, size_t count);
void table_close(table *t);
void table_clear(table *t);   // no rows; memory that usual batches need is kept
void table_mark(table *t);    // remember where it ends
void table_revert(table *t);  // back to the mark
void table_forget(table *t);  // the dictionaries of columns that are none, which serve to find rows
size_t table_native(const table *t, uint8_t *place);  // its size; with NULL for a place it is only measured

// What does not fit into memory sets out_of_memory; the caller asks once, at the end.
static inline void put(table *t, size_t c, const void *value, size_t width) {
  if (!buffer_put(&t->columns[c].data, value, width)) t->out_of_memory = true;
}
static inline void put_u8(table *t, size_t c, uint8_t value) { put(t, c, &value, 1); }
static inline void put_u16(table *t, size_t c, uint16_t value) { put(t, c, &value, 2); }
static inline void put_u32(table *t, size_t c, uint32_t value) { put(t, c, &value, 4); }
static inline void put_u64(table *t, size_t c, uint64_t value) { put(t, c, &value, 8); }
void put_nullable(table *t, size_t c, bool present, uint64_t value);
void put_text(table *t, size_t c, bytes text);
uint32_t word(table *t, size_t c, bytes text);  // the index of a text in a dictionary column
bytes word_at(const table *t, size_t c, uint32_t index);  // and back; until the next one is looked up
static inline void put_word(table *t, size_t c, bytes text) { put_u32(t, c, word(t, c, text)); }
// The values of the row that is being made; rows that have none need no call.
static inline void put_object(table *t, size_t c, object_value *values, size_t count) {
  if (count && !object_put(t->columns[c].object, t->rows, values, count)) t->out_of_memory = true;
}
// Arrays: append items, then close the row.
void put_item_text(table *t, size_t c, bytes text);
static inline void put_item(table *t, size_t c, const void *value, size_t width) {
  put(t, c, value, width);
  t->columns[c].items++;
}
void end_array(table *t, size_t c);

#endif
