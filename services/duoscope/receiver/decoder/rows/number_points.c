// Points of gauges and sums: one number each.
#include "columns/hash.h"
#include "rows/emit.h"
#include "rows/exemplars.h"
#include "rows/points.h"
#include "values/attributes.h"

#define NUMBER_COLUMNS(COLUMN)                               \
  COLUMN(N_TYPE, "metric_type", AS_METRIC_TYPE)              \
  COLUMN(N_TEMPORALITY, "temporality", AS_TEMPORALITY)       \
  COLUMN(N_MONOTONIC, "is_monotonic", AS_U8)                 \
  COLUMN(N_VALUE, "value", AS_F64)                           \
  COLUMN(N_REST, "value_rest", AS_I16)                       \
  COLUMN(N_IS_INT, "value_is_int", AS_BOOL)                  \
  COLUMN(N_EX_TRACE, "exemplar_trace_id", AS_BYTES(16))      \
  COLUMN(N_EX_SPAN, "exemplar_span_id", AS_BYTES(8))         \
  COLUMN(N_EX_TIME, "exemplar_timestamp", AS_TIME)           \
  COLUMN(N_EX_VALUE, "exemplar_value", AS_F64)               \
  COLUMN(N_EX_ATTRIBUTES, "exemplar_attributes", AS_TEXT)
enum { BEFORE_NUMBER_COLUMNS = POINT_END - 1, NUMBER_COLUMNS(COLUMN_ID) N_COLUMNS };
static const column_spec COLUMNS[] = {ORIGIN_COLUMNS(COLUMN_SPEC) POINT_COLUMNS(COLUMN_SPEC) NUMBER_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(COLUMNS, N_COLUMNS);

bool numbers_open(decoder *d) { return table_open(&d->tables[NUMBERS], "number_points", COLUMNS, N_COLUMNS); }

typedef struct {
  uint64_t hash;  // of the JSON
  uint64_t schema_hash;
  uint32_t cached;  // the number of their entry in the cache, or NOT_CACHED: then the JSON is d->json
} attributes;

// A series sends the same attributes every time: what they become is known by the bytes they came in.
static int number_attributes(decoder *d, bytes raw, attributes *a) {
  attribute_cache *cache = &d->attribute_cache;
  a->cached = length_of(raw) ? attribute_cache_find(cache, raw, &d->limits) : NOT_CACHED;
  if (a->cached == NOT_CACHED) {
    int verdict = attributes_json(d, &d->pairs, true, &d->json);
    if (verdict != OK) return verdict;
    if (length_of(raw) && !d->cut)
      a->cached = attribute_cache_add(cache, raw, &d->limits, buffer_bytes(&d->json), d->attributes.schema_hash);
  }
  if (a->cached == NOT_CACHED) {
    a->schema_hash = d->attributes.schema_hash;
    a->hash = hash_bytes(d->json.data, d->json.size, 0) ^ d->attributes.lost_hash;
  } else {
    const cached_attributes *known = attribute_cache_at(cache, a->cached);
    a->schema_hash = known->schema_hash;
    a->hash = known->json_hash;
  }
  return OK;
}

// The index of the attributes in the table's dictionary.
static uint32_t attributes_word(decoder *d, table *t, const attributes *a) {
  if (a->cached == NOT_CACHED) return word(t, P_ATTRIBUTES, buffer_bytes(&d->json));
  cached_attributes *known = attribute_cache_at(&d->attribute_cache, a->cached);
  if (known->batch != d->batch) {
    known->batch = d->batch;
    known->word = word(t, P_ATTRIBUTES, attribute_cache_json(&d->attribute_cache, a->cached));
  }
  return known->word;
}

int read_number(decoder *d, metric *head, bytes message) {
  field f;
  int more;
  point p = {0};
  uint8_t kind = 0;
  double value = 0;
  uint16_t rest = 0;
  bytes raw = no_bytes();  // the attributes as they came, where they came one after the other
  unsigned runs = 0;
  ranges_clear(&d->pairs);
  ranges_clear(&d->events);
  for (bytes m = message, before = m; (more = next_field(&m, &f)); before = m) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_NUMBER_DATA_POINT_START_TIME_UNIX_NANO: p.start = f.value; break;
      case TAG_NUMBER_DATA_POINT_TIME_UNIX_NANO: p.time = f.value; break;
      case TAG_NUMBER_DATA_POINT_AS_DOUBLE:
        kind = 1;
        value = as_double(f.value);
        rest = 0;
        break;
      case TAG_NUMBER_DATA_POINT_EXEMPLARS:
        if (add_range(d, &d->events, f.range, MESSAGE_EXEMPLAR) == MALFORMED) return MALFORMED;
        break;
      case TAG_NUMBER_DATA_POINT_AS_INT:
        kind = 2;
        value = (double)(int64_t)f.value;
        rest = rest_of((int64_t)f.value);
        break;
      case TAG_NUMBER_DATA_POINT_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        if (!runs || raw.end != before.at) {
          runs++;
          raw.at = before.at;
        }
        raw.end = m.at;
        break;
      case TAG_NUMBER_DATA_POINT_FLAGS: p.flags = f.value; break;
      case TAG_REFUSED: p.is_refused = true; break;
      default: break;
    }
  }
  attributes shared;
  int verdict = number_attributes(d, runs == 1 ? raw : no_bytes(), &shared), of_exemplars = check_exemplars(d);
  if (verdict == MALFORMED || of_exemplars == MALFORMED) return MALFORMED;
  if (verdict == OK) verdict = of_exemplars;
  if (verdict == OK) verdict = judge_point(d, &p);
  if (verdict == OK && is_marker(&p)) {
    kind = 0, value = 0, rest = 0;
    ranges_clear(&d->events);
  } else if (verdict == OK && !kind) {
    verdict = NO_VALUE;
  }
  if (verdict == OK && !admit_point(d, head, shared.hash, &p)) verdict = TOO_MANY_SERIES;
  if (verdict != OK) return reject(d, verdict);
  p.schema_hash = shared.schema_hash;
  table *t = &d->tables[NUMBERS];
  put_point(d, NUMBERS, head, attributes_word(d, t, &shared), &p, NULL);
  put_u8(t, N_TYPE, head->type);
  put_u8(t, N_TEMPORALITY, head->temporality);
  put_u8(t, N_MONOTONIC, head->monotonic);
  put(t, N_VALUE, &value, 8);
  put_u16(t, N_REST, rest);
  put_u8(t, N_IS_INT, kind == 2);
  exemplar e = {.trace_id = no_bytes(), .span_id = no_bytes()};
  d->text.size = 0;
  if (d->events.count) read_exemplar(d, d->events.items[0], &e);
  put(t, N_EX_TRACE, id_or_none(e.trace_id, TRACE_ID_SIZE), TRACE_ID_SIZE);
  put(t, N_EX_SPAN, id_or_none(e.span_id, SPAN_ID_SIZE), SPAN_ID_SIZE);
  put_u64(t, N_EX_TIME, as_time(e.time));
  put(t, N_EX_VALUE, &e.value, 8);
  put_text(t, N_EX_ATTRIBUTES, buffer_bytes(&d->text));
  if (d->events.count) put_exemplars(d, head, &p, NULL);
  return OK;
}
