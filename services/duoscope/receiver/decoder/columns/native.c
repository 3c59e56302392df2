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
