// A table in ClickHouse's Native format.
#include "columns/table.h"

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

static void write_repeated(sink *out, uint8_t byte, size_t count) {
  if (out->place) memset(out->place + out->size, byte, count);
  out->size += count;
}

// A name as ClickHouse has it: a dot in it is none that separates names.
static void write_name(sink *out, const object_path *p) {
  const size_t size = object_escaped_size(p->name, p->name_size);
  write_varint(out, size);
  if (out->place) object_escape(out->place + out->size, p->name, p->name_size);
  out->size += size;
}

// ClickHouse, SerializationObject, of its first version: the paths, of each the types it has; then of each the types by row and
// the values by type; then what has no path of its own.
static void write_object(sink *out, const object *o, uint64_t rows) {
  static const char *const names[OBJECT_TYPES] = {
      [OBJECT_BOOL] = "Bool", [OBJECT_DOUBLE] = "Float64", [OBJECT_INT] = "Int64", [OBJECT_TEXT] = "String"};
  enum { VERSION = 0, DYNAMIC_VERSION = 1, DYNAMIC_TYPES_MAX = 32, BASIC_DISCRIMINATORS = 0, NO_VALUE = 0xff };
  const object_path *paths[OBJECT_PATHS_MAX];
  const size_t count = object_order(o, paths);
  write_number(out, VERSION);
  write_varint(out, OBJECT_PATHS_MAX);
  write_varint(out, count);
  for (size_t i = 0; i < count; i++) write_name(out, paths[i]);
  for (size_t i = 0; i < count; i++) {
    size_t types = 0;
    for (size_t type = 0; type < OBJECT_TYPES; type++) types += paths[i]->values[type].size != 0;
    write_number(out, DYNAMIC_VERSION);
    write_varint(out, DYNAMIC_TYPES_MAX);
    write_varint(out, types);
    for (size_t type = 0; type < OBJECT_TYPES; type++)
      if (paths[i]->values[type].size) write_text(out, names[type]);
    write_number(out, BASIC_DISCRIMINATORS);
  }
  for (size_t i = 0; i < count; i++) {
    const object_path *p = paths[i];
    // Types have numbers in the order of their names, SharedVariant, which has no values here, among them: before String.
    uint8_t numbers[OBJECT_TYPES], next = 0;
    for (size_t type = 0; type < OBJECT_TYPES; type++) {
      next += type == OBJECT_TEXT;
      numbers[type] = next;
      next += p->values[type].size != 0;
    }
    const size_t known = p->types.size;
    if (out->place) {
      uint8_t *to = out->place + out->size;
      for (size_t row = 0; row < known; row++) to[row] = p->types.data[row] == NO_VALUE ? NO_VALUE : numbers[p->types.data[row]];
    }
    out->size += known;
    write_repeated(out, NO_VALUE, rows - known);
    for (size_t type = 0; type < OBJECT_TYPES; type++) write_bytes(out, p->values[type].data, p->values[type].size);
  }
  write_bytes(out, o->offsets.data, o->offsets.size);
  for (uint64_t row = o->offsets.size / sizeof row; row < rows; row++) write_number(out, o->others);
  write_bytes(out, o->other_names.data, o->other_names.size);
  write_bytes(out, o->other_values.data, o->other_values.size);
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
    if (col->spec->kind == OBJECT) {
      write_object(&out, col->object, t->rows);
      continue;
    }
    write_bytes(&out, col->nulls.data, col->nulls.size);
    write_bytes(&out, col->offsets.data, col->offsets.size);
    write_bytes(&out, col->data.data, col->data.size);
  }
  return out.size;
}
