#include "counts/field_values.h"

#include <stdlib.h>

#include "columns/hash.h"
#include "decoder.h"
#include "rows/emit.h"
#include "values/any_value.h"
#include "values/numbers.h"
#include "values/utf8.h"

enum { RUNS_MAX = 64 };  // of a request; what comes behind them is not counted
enum place { FIELD = 1, ATTRIBUTES, RESOURCE };  // as the table numbers them

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

void field_values_close(field_values *v) {
  known_forget(&v->known);
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
    if (length_of(key) > FIELD_NAME_BYTES_MAX || !is_utf8(key) || !is_utf8(text)) continue;
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
  size_t resource;  // the first that may have some of them
  uint32_t quarter;
} run;

static uint32_t field_in(decoder *d, const run *r, uint8_t place, bytes name) {
  return known_field_of(&d->field_values.known, &d->owner, r->quarter, r->base, place, name);
}

static void count_words(decoder *d, const run *r, const counted_field *f, const column *c) {
  field_values *v = &d->field_values;
  const bytes name = {(const uint8_t *)f->name, (const uint8_t *)f->name + strlen(f->name)};
  const uint32_t field = field_in(d, r, FIELD, name), *words = (const uint32_t *)c->data.data;
  const entry *entries = (const entry *)c->words.entries.data;
  for (uint64_t row = r->begin, next; row < r->end; row = next) {
    for (next = row + 1; next < r->end && words[next] == words[row];) next++;
    const entry *e = &entries[words[row]];
    const uint8_t *text = c->words.texts.data + e->offset;
    if (e->size) known_word(&v->known, field, e->hash, (bytes){text, text + e->size}, (uint32_t)(next - row));
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
    known_text(&d->field_values.known, field, (bytes){text, text + strlen(f->choices[i])}, counts[i]);
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
      known_text(&v->known, field, take_text(&at[type]), 1);
      continue;
    }
    const size_t width = type == OBJECT_BOOL ? 1 : 8;
    uint64_t number = 0;
    memcpy(&number, at[type], width);
    at[type] += width;
    known_number(&v->known, field, TYPES[type], number, 1);
  }
}

// Names without a column, escaped; of each value its size, the number of its type, and itself (see object.c).
static void count_others(decoder *d, const run *r, const object *o, cursors *c) {
  const uint64_t *ends = (const uint64_t *)o->offsets.data, rows = o->offsets.size / sizeof *ends;
  for (uint64_t row = r->begin; row < r->end && row < rows; row++) {
    for (uint64_t i = row ? ends[row - 1] : 0; i < ends[row]; i++) {
      uint8_t name[FIELD_NAME_BYTES_MAX];
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
        case 0x15: known_text(&d->field_values.known, field, take_text(&value.at), 1); continue;
        case 0x2d: known_number(&d->field_values.known, field, BOOL_VALUE, *value.at, 1); continue;
        default:
          memcpy(&number, value.at, sizeof number);
          known_number(&d->field_values.known, field, code == 0x0a ? INT_VALUE : DOUBLE_VALUE, number, 1);
      }
    }
  }
}

static void count_resources(decoder *d, run *r) {
  field_values *v = &d->field_values;
  const resource *resources = (const resource *)v->resources.data;
  const resource_value *values = (const resource_value *)v->resource_values.data;
  const size_t count = v->resources.size / sizeof *resources, all = v->resource_values.size / sizeof *values;
  while (r->resource + 1 < count && resources[r->resource + 1].first_row <= r->begin) r->resource++;
  for (size_t i = r->resource; i < count && resources[i].first_row < r->end; i++) {
    const uint64_t end_row = i + 1 < count ? resources[i + 1].first_row : UINT64_MAX;
    const uint64_t begin = resources[i].first_row > r->begin ? resources[i].first_row : r->begin;
    const uint64_t end = end_row < r->end ? end_row : r->end;
    if (begin >= end) continue;
    const uint32_t rows = (uint32_t)(end - begin);
    for (size_t n = resources[i].first_value; n < (i + 1 < count ? resources[i + 1].first_value : all); n++) {
      const uint8_t *name = v->resource_texts.data + values[n].name, *text = v->resource_texts.data + values[n].text;
      const uint32_t field = field_in(d, r, RESOURCE, (bytes){name, name + values[n].name_size});
      if (values[n].type == TEXT_VALUE) {
        known_text(&v->known, field, (bytes){text, text + values[n].text_size}, rows);
      } else {
        known_number(&v->known, field, values[n].type, values[n].number, rows);
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
  cursors c = {.other_names = o->other_names.data + o->mark_other_names};
  c.other_values = o->other_values.data + o->mark_other_values;
  for (size_t i = 0; i < o->count; i++)
    for (size_t type = 0; type < OBJECT_TYPES; type++)
      c.values[i][type] = o->paths[i].values[type].data + (i < o->mark_count ? o->paths[i].mark_values[type] : 0);
  run r = {.begin = t->mark_rows};
  for (size_t runs = 0; runs < RUNS_MAX && r.begin < t->rows; runs++, r.begin = r.end) {
    r.quarter = (uint32_t)(times[r.begin] / QUARTER);
    const uint64_t from = r.quarter * QUARTER;
    for (r.end = r.begin + 1; r.end < t->rows && times[r.end] - from < QUARTER;) r.end++;
    count_run(d, &r, &c);
  }
}

// --- Rows.

static void put_count(decoder *d, const known_field *f, uint8_t type, bytes value, uint64_t count) {
  table *t = &d->tables[d->field_values.table];
  const uint8_t *name = d->field_values.known.texts.data + f->name;
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
  const known_values *v = &d->field_values.known;
  const known_field *f = known_field_at(v, value->field);
  const uint8_t *text;
  char digits[DOUBLE_CHARS_MAX];
  double number;
  size_t size = 0;
  switch (value->type) {
    case TEXT_VALUE:
      text = v->texts.data + value->number;
      put_count(d, f, value->type, (bytes){text, text + value->size}, count);
      return;
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

void field_values_flush(decoder *d) {
  known_values *v = &d->field_values.known;
  if (!d->field_values.of) return;
  for (size_t s = 0; v->value_slots && s <= v->value_mask; s++) {
    value_slot *slot = &v->value_slots[s];
    if (!slot->value) continue;
    known_value *value = (known_value *)v->values.data + slot->value - 1;
    known_field *f = known_field_at(v, value->field);
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
    known_field *f = known_field_at(v, (uint32_t)i);
    if (f->others) put_count(d, f, OTHERS, no_bytes(), f->others);
    f->others = 0;
  }
  known_keep(v, d->limits.now);
}
