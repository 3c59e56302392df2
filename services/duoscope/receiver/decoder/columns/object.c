#include "columns/object.h"

#include <stdlib.h>

enum { NO_VALUE = 0xff, SLOT_MASK = 4 * OBJECT_PATHS_MAX - 1 };

object *object_open(void) { return calloc(1, sizeof(object)); }

void object_close(object *o) {
  if (!o) return;
  for (size_t i = 0; i < OBJECT_PATHS_MAX; i++) {
    free(o->paths[i].types.data);
    for (size_t t = 0; t < OBJECT_TYPES; t++) free(o->paths[i].values[t].data);
  }
  free(o->offsets.data);
  free(o->other_names.data);
  free(o->other_values.data);
  free(o);
}

static void put_slot(object *o, uint32_t path) {
  size_t s = o->paths[path].hash & SLOT_MASK;
  while (o->slots[s]) s = (s + 1) & SLOT_MASK;
  o->slots[s] = (uint8_t)(path + 1);
}

// Leaves the first `count` paths.
static void cut_paths(object *o, uint32_t count) {
  for (uint32_t i = count; i < o->count; i++) {
    object_path *p = &o->paths[i];
    p->types.size = p->seen = 0;
    buffer_trim(&p->types);
    for (size_t t = 0; t < OBJECT_TYPES; t++) {
      p->values[t].size = 0;
      buffer_trim(&p->values[t]);
    }
  }
  if (count == o->count) return;
  o->count = count;
  memset(o->slots, 0, sizeof o->slots);
  for (uint32_t i = 0; i < count; i++) put_slot(o, i);
}

void object_clear(object *o) {
  cut_paths(o, 0);
  o->offsets.size = o->other_names.size = o->other_values.size = o->others = 0;
  buffer_trim(&o->offsets);
  buffer_trim(&o->other_names);
  buffer_trim(&o->other_values);
}

void object_mark(object *o) {
  o->mark_count = o->count;
  for (uint32_t i = 0; i < o->count; i++) {
    object_path *p = &o->paths[i];
    p->mark_types = p->types.size;
    for (size_t t = 0; t < OBJECT_TYPES; t++) p->mark_values[t] = p->values[t].size;
  }
  o->mark_offsets = o->offsets.size;
  o->mark_other_names = o->other_names.size;
  o->mark_other_values = o->other_values.size;
  o->mark_others = o->others;
}

void object_revert(object *o) {
  cut_paths(o, o->mark_count);
  for (uint32_t i = 0; i < o->count; i++) {
    object_path *p = &o->paths[i];
    p->types.size = p->mark_types;
    for (size_t t = 0; t < OBJECT_TYPES; t++) p->values[t].size = p->mark_values[t];
  }
  o->offsets.size = o->mark_offsets;
  o->other_names.size = o->mark_other_names;
  o->other_values.size = o->mark_other_values;
  o->others = o->mark_others;
}

bool object_takes(bytes name) {
  if (name.at == name.end || length_of(name) > OBJECT_NAME_BYTES_MAX) return false;
  for (const uint8_t *c = name.at; c < name.end; c++) {
    const bool is_letter = (uint8_t)((*c | 0x20) - 'a') < 26;
    if (!is_letter && (uint8_t)(*c - '0') >= 10 && *c != '.' && *c != '_' && *c != '-' && *c != '/') return false;
  }
  return true;
}

uint32_t object_find(const object *o, bytes name, uint64_t hash) {
  for (size_t s = hash & SLOT_MASK; o->slots[s]; s = (s + 1) & SLOT_MASK) {
    const uint32_t path = o->slots[s] - 1u;
    if (o->paths[path].hash == hash && object_is(o, path, name)) return path;
  }
  return NO_PATH;
}

static uint32_t add_path(object *o, const object_value *v) {
  if (o->count == OBJECT_PATHS_MAX) return NO_PATH;
  object_path *p = &o->paths[o->count];
  p->hash = v->hash;
  p->name_size = length_of(v->name);
  memcpy(p->name, v->name.at, p->name_size);
  put_slot(o, o->count);
  p->mark_types = 0;
  memset(p->mark_values, 0, sizeof p->mark_values);
  return o->count++;
}

static bool put_text_at(buffer *b, bytes text) {
  const size_t size = length_of(text);
  return buffer_put_varint(b, size) && buffer_put(b, text.at, size);
}

static bool put_value(buffer *b, const object_value *v) {
  if (v->type == OBJECT_TEXT) return put_text_at(b, v->text);
  return buffer_put(b, &v->number, v->type == OBJECT_BOOL ? 1 : 8);
}

// Types without a value, up to a row.
static bool skip_to(object_path *p, uint64_t row) {
  if (p->types.size >= row) return true;
  const size_t missing = row - p->types.size;
  if (!buffer_room(&p->types, missing + 1)) return false;
  memset(p->types.data + p->types.size, NO_VALUE, missing);
  p->types.size = row;
  return true;
}

// As escaped names are in order: a dot is %2E, and a percent sign comes before all that a name may have.
static int order_of(uint8_t c) { return c == '.' ? '%' : c; }

static int compare_names(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
  const size_t shorter = a_size < b_size ? a_size : b_size;
  for (size_t i = 0; i < shorter; i++)
    if (a[i] != b[i]) return order_of(a[i]) - order_of(b[i]);
  return (a_size > b_size) - (a_size < b_size);
}

static int compare_values(const void *a, const void *b) {
  const object_value *x = a, *y = b;
  return compare_names(x->name.at, length_of(x->name), y->name.at, length_of(y->name));
}

size_t object_escaped_size(const uint8_t *name, size_t size) {
  size_t escaped = size;
  for (size_t i = 0; i < size; i++) escaped += name[i] == '.' ? 2 : 0;
  return escaped;
}

void object_escape(uint8_t *to, const uint8_t *name, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (name[i] == '.') {
      memcpy(to, "%2E", 3);
      to += 3;
    } else {
      *to++ = name[i];
    }
  }
}

// With its size before it.
static bool put_escaped(buffer *b, const uint8_t *name, size_t size) {
  const size_t escaped = object_escaped_size(name, size);
  if (!buffer_put_varint(b, escaped) || !buffer_room(b, escaped)) return false;
  object_escape(b->data + b->size, name, size);
  b->size += escaped;
  return true;
}

// A value by itself, with the number of its type before it (ClickHouse, binary encoding of data types).
static bool put_other(object *o, const object_value *v) {
  static const uint8_t codes[OBJECT_TYPES] = {[OBJECT_BOOL] = 0x2d, [OBJECT_DOUBLE] = 0x0e, [OBJECT_INT] = 0x0a, [OBJECT_TEXT] = 0x15};
  buffer *values = &o->other_values;
  const size_t size = length_of(v->text);
  if (!put_escaped(&o->other_names, v->name.at, length_of(v->name))) return false;
  o->others++;
  if (v->type != OBJECT_TEXT)
    return buffer_put_byte(values, v->type == OBJECT_BOOL ? 2 : 9) && buffer_put_byte(values, codes[v->type]) && put_value(values, v);
  size_t digits = 1;
  for (size_t rest = size; rest >>= 7;) digits++;
  return buffer_put_varint(values, 1 + digits + size) && buffer_put_byte(values, codes[OBJECT_TEXT]) && put_text_at(values, v->text);
}

static bool put_others(object *o, uint64_t row, object_value *values, size_t count) {
  const size_t before = row * sizeof(uint64_t), missing = before - o->offsets.size;
  if (!buffer_room(&o->offsets, missing + sizeof(uint64_t))) return false;
  for (uint64_t *at = (uint64_t *)(o->offsets.data + o->offsets.size), *end = at + missing / sizeof *at; at < end; at++) *at = o->others;
  o->offsets.size = before;
  if (count > 1) qsort(values, count, sizeof *values, compare_values);
  for (size_t i = 0; i < count; i++)
    if (!put_other(o, &values[i])) return false;
  return buffer_put(&o->offsets, &o->others, sizeof o->others);
}

bool object_put(object *o, uint64_t row, object_value *values, size_t count) {
  size_t others = 0;
  for (size_t i = 0; i < count; i++) {
    const object_value *v = &values[i];
    uint32_t path = v->path;
    if (path == NO_PATH) path = add_path(o, v);
    if (path == NO_PATH) {
      const object_value other = *v;
      values[others++] = other;
      continue;
    }
    object_path *p = &o->paths[path];
    if (!skip_to(p, row) || !buffer_put_byte(&p->types, v->type) || !put_value(&p->values[v->type], v)) return false;
  }
  return !others || put_others(o, row, values, others);
}

static int compare_paths(const void *a, const void *b) {
  const object_path *x = *(const object_path *const *)a, *y = *(const object_path *const *)b;
  return compare_names(x->name, x->name_size, y->name, y->name_size);
}

size_t object_order(const object *o, const object_path **paths) {
  for (size_t i = 0; i < o->count; i++) paths[i] = &o->paths[i];
  qsort(paths, o->count, sizeof *paths, compare_paths);
  return o->count;
}
