// Attributes as columns: a column of ClickHouse's type JSON, a name's values of each type in a column of their own.
//
// It holds what the type keeps exactly: one value a row and name, a text, an integer, a double or a boolean, under a name of plain
// characters. The first names of a batch have columns; of the others a row has a list, as ClickHouse has them.
#ifndef DUOSCOPE_OBJECT_H
#define DUOSCOPE_OBJECT_H

#include "columns/buffer.h"

enum { OBJECT_PATHS_MAX = 64, OBJECT_NAME_BYTES_MAX = 255 };

// In the order of their names, as ClickHouse has variants.
enum object_type { OBJECT_BOOL, OBJECT_DOUBLE, OBJECT_INT, OBJECT_TEXT, OBJECT_TYPES };

#define NO_PATH UINT32_MAX

// A value of the row that is being made.
typedef struct {
  uint64_t hash;    // of the name
  uint64_t number;  // of all but texts, with its bits
  bytes name, text;
  uint32_t path;    // its place among those with columns, or NO_PATH
  uint8_t type;
} object_value;

typedef struct {
  uint64_t hash, seen;  // seen: the serial of the last row that names it
  size_t name_size;
  uint8_t name[OBJECT_NAME_BYTES_MAX];
  buffer types;  // a byte a row, up to the last row that has a value
  buffer values[OBJECT_TYPES];
  size_t mark_types, mark_values[OBJECT_TYPES];
} object_path;

typedef struct {
  object_path paths[OBJECT_PATHS_MAX];
  uint32_t count, mark_count;
  uint8_t slots[4 * OBJECT_PATHS_MAX];  // the place of a path plus one; 0 is free
  uint8_t after[OBJECT_PATHS_MAX + 1];  // which path followed a path, or began a row, the last time
  // Names without a column: how many the rows have up to each, their names, and their values with types.
  buffer offsets, other_names, other_values;
  uint64_t others;
  size_t mark_offsets, mark_other_names, mark_other_values;
  uint64_t mark_others;
} object;

object *object_open(void);
void object_close(object *o);
void object_clear(object *o);
void object_mark(object *o);
void object_revert(object *o);

// Whether a name may stand in it: of a few characters, of which none means anything to ClickHouse but the dot, which is escaped.
bool object_takes(bytes name);
// The path of a name, or NO_PATH. `guess`: where to look first.
uint32_t object_find(const object *o, bytes name, uint64_t hash);

static inline bool object_is(const object *o, uint32_t path, bytes name) {
  const object_path *p = &o->paths[path];
  return path < o->count && p->name_size == length_of(name) && !memcmp(p->name, name.at, p->name_size);
}

// The values of row number `row`, all of different names; puts them into another order. False: no memory.
bool object_put(object *o, uint64_t row, object_value *values, size_t count);

// A name as ClickHouse writes it, where a dot separates names: its bytes, and the name itself.
size_t object_escaped_size(const uint8_t *name, size_t size);
void object_escape(uint8_t *to, const uint8_t *name, size_t size);

// The paths in the order that ClickHouse has them in; how many they are.
size_t object_order(const object *o, const object_path **paths);

#endif
