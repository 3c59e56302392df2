// Metric points of every type, and their exemplars. A point needs a time and a value.
#include <math.h>

#include "decoder.h"

enum { NUMBERS, HISTOGRAMS, EXPONENTIALS, SUMMARIES, EXEMPLARS };

enum { TIMESTAMP = ORIGIN_END, START, METRIC_NAME, UNIT, ATTRIBUTES, SERIES, FLAGS, POINT_END };
#define POINT_COLUMNS                                                                                                \
  ORIGIN_COLUMNS, {"timestamp", TIME_TYPE, FIXED, 8, 0}, {"since_start", "Int64", FIXED, 8, 0},                 \
      DICT("metric_name"), DICT("unit"), DICT("attributes_json"), {"series_id", "UInt64", FIXED, 8, 0},               \
      {"flags", "UInt32", FIXED, 4, 0}
#define TEMPORALITY_COLUMN                                                                                           \
  {"temporality", "Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)", FIXED, 1, 0}
#define OPTIONAL(name) {name, "Nullable(Float64)", FIXED, 8, 1}
#define EXEMPLAR_LISTS                                                                                               \
  {"exemplar_timestamps", "Array(" TIME_TYPE ")", ARRAY_OF_FIXED, 8, 0},                                              \
      {"exemplar_values", "Array(Float64)", ARRAY_OF_FIXED, 8, 0},                                                    \
      {"exemplar_trace_ids", "Array(FixedString(16))", ARRAY_OF_FIXED, 16, 0},                                        \
      {"exemplar_span_ids", "Array(FixedString(8))", ARRAY_OF_FIXED, 8, 0},                                           \
      {"exemplar_attributes", "Array(String)", ARRAY_OF_TEXT, 0, 0}

enum { N_TYPE = POINT_END, N_TEMPORALITY, N_MONOTONIC, N_VALUE, N_REST, N_IS_INT, N_EX_TRACE, N_EX_SPAN, N_EX_TIME,
       N_EX_VALUE, N_EX_ATTRIBUTES, N_COLUMNS };
static const column_spec NUMBER_COLUMNS[N_COLUMNS] = {
    POINT_COLUMNS,
    {"metric_type",
     "Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5)", FIXED, 1, 0},
    TEMPORALITY_COLUMN,
    {"is_monotonic", "UInt8", FIXED, 1, 0},
    {"value", "Float64", FIXED, 8, 0},
    {"value_rest", "Int16", FIXED, 2, 0},
    {"value_is_int", "Bool", FIXED, 1, 0},
    {"exemplar_trace_id", "FixedString(16)", FIXED, 16, 0},
    {"exemplar_span_id", "FixedString(8)", FIXED, 8, 0},
    {"exemplar_timestamp", TIME_TYPE, FIXED, 8, 0},
    {"exemplar_value", "Float64", FIXED, 8, 0},
    {"exemplar_attributes", "String", TEXT, 0, 0},
};

enum { H_TEMPORALITY = POINT_END, H_COUNT, H_SUM, H_MIN, H_MAX, H_EX_TIME, H_EX_ATTRIBUTES = H_EX_TIME + 4, H_BOUNDS,
       H_COUNTS, H_COLUMNS };
static const column_spec HISTOGRAM_COLUMNS[H_COLUMNS] = {
    POINT_COLUMNS, TEMPORALITY_COLUMN, {"count", "UInt64", FIXED, 8, 0}, OPTIONAL("sum"), OPTIONAL("min"), OPTIONAL("max"),
    EXEMPLAR_LISTS,
    {"bucket_bounds", "Array(Float64)", ARRAY_OF_FIXED, 8, 0},
    {"bucket_counts", "Array(UInt64)", ARRAY_OF_FIXED, 8, 0},
};

enum { E_SCALE = H_BOUNDS, E_ZERO_COUNT, E_ZERO_THRESHOLD, E_POSITIVE_OFFSET, E_POSITIVE, E_NEGATIVE_OFFSET, E_NEGATIVE,
       E_COLUMNS };
static const column_spec EXPONENTIAL_COLUMNS[E_COLUMNS] = {
    POINT_COLUMNS, TEMPORALITY_COLUMN, {"count", "UInt64", FIXED, 8, 0}, OPTIONAL("sum"), OPTIONAL("min"), OPTIONAL("max"),
    EXEMPLAR_LISTS,
    {"scale", "Int32", FIXED, 4, 0},
    {"zero_count", "UInt64", FIXED, 8, 0},
    {"zero_threshold", "Float64", FIXED, 8, 0},
    {"positive_offset", "Int32", FIXED, 4, 0},
    {"positive_bucket_counts", "Array(UInt64)", ARRAY_OF_FIXED, 8, 0},
    {"negative_offset", "Int32", FIXED, 4, 0},
    {"negative_bucket_counts", "Array(UInt64)", ARRAY_OF_FIXED, 8, 0},
};

enum { S_COUNT = POINT_END, S_SUM, S_QUANTILES, S_VALUES, S_COLUMNS };
static const column_spec SUMMARY_COLUMNS[S_COLUMNS] = {
    POINT_COLUMNS,
    {"count", "UInt64", FIXED, 8, 0},
    {"sum", "Float64", FIXED, 8, 0},
    {"quantiles", "Array(Float64)", ARRAY_OF_FIXED, 8, 0},
    {"quantile_values", "Array(Float64)", ARRAY_OF_FIXED, 8, 0},
};

enum { X_TIME = C_RETENTION + 1, X_METRIC, X_SERVICE, X_TRACE, X_SPAN, X_VALUE, X_REST, X_ATTRIBUTES, X_COLUMNS };
static const column_spec EXEMPLAR_COLUMNS[X_COLUMNS] = {
    OWNER_COLUMNS,
    {"timestamp", TIME_TYPE, FIXED, 8, 0},
    DICT("metric_name"),
    DICT("service_name"),
    {"trace_id", "FixedString(16)", FIXED, 16, 0},
    {"span_id", "FixedString(8)", FIXED, 8, 0},
    {"value", "Float64", FIXED, 8, 0},
    {"value_rest", "Int16", FIXED, 2, 0},
    {"attributes", "String", TEXT, 0, 0},
};

enum { LIST_MAX = 10000 };  // buckets, bounds, quantiles, exemplars of one point
// Of a distribution, and of each of its buckets. Sums of such keep within 64 bits, and doubles have every one of them.
#define COUNT_MAX ((uint64_t)1 << 53)

static const uint8_t nothing;
#define EMPTY (bytes){&nothing, &nothing}

// What points of all types have. The field numbers differ.
typedef struct {
  uint64_t time, start, flags, series;
  uint64_t shape;  // of its attributes
  bool is_refused;
} point;

// Flag 1, NO_RECORDED_VALUE: the series ended, or has no value now. Such a point is kept for readers that want to know;
// what else is in it means nothing, and it lets nobody see a metric or an attribute.
static bool is_marker(const point *p) { return p->flags & 1; }

// What an integer beyond 2^53 lost as a double.
static uint16_t rest_of(int64_t value) {
  double rounded = (double)value;
  return (uint16_t)((uint64_t)value - (rounded < 0x1p63 ? (uint64_t)(int64_t)rounded : (uint64_t)1 << 63));
}

static int judge(decoder *d, const point *p) {
  if (p->is_refused) return INVALID_JSON_VALUE;
  if (!p->time) return TIME_MISSING;
  if (p->time < d->limits.earliest || p->time > d->limits.latest) return TIME_OUT_OF_RANGE;
  return OK;
}

// `attributes`: the hash of their JSON.
static bool admit(decoder *d, const metric *m, uint64_t attributes, point *p) {
  const origin *o = &d->origin;
  p->series = hash_bytes(&attributes, 8, o->resource_hash ^ o->scope_hash);
  return !d->series || !d->limits.series_max ||
         series_admit(d->series, m->name_hash ^ p->series, d->limits.series_max);
}

static void put_point(decoder *d, size_t number, metric *m, uint32_t attributes, const point *p) {
  table *t = &d->tables[number];
  put_origin(d, number);
  if (d->seen[number].metric != d->serial) {
    d->seen[number].metric = d->serial;
    d->seen[number].metric_name = word(t, METRIC_NAME, m->name);
    d->seen[number].unit = word(t, UNIT, m->unit);
  }
  put_u64(t, TIMESTAMP, p->time);
  put_u64(t, START, p->start ? p->time - as_time(p->start) : UNSET);
  put_u32(t, METRIC_NAME, d->seen[number].metric_name);
  put_u32(t, UNIT, d->seen[number].unit);
  put_u32(t, ATTRIBUTES, attributes);
  put_u64(t, SERIES, p->series);
  put_u32(t, FLAGS, (uint32_t)p->flags);
  t->rows++;
  d->outcome->stored++;
  count_cuts(d);
  if (is_marker(p)) return;
  if (p->time < m->first) m->first = p->time;
  if (p->time > m->last) m->last = p->time;
  catalogue_item(d, p->time, p->shape, NULL);
}

typedef struct {
  bytes trace_id, span_id;
  uint64_t time;
  double value;
  uint16_t rest;
} exemplar;

// Its attributes go to d->text.
static int read_exemplar(decoder *d, bytes message, exemplar *e) {
  field f;
  int more;
  *e = (exemplar){.trace_id = EMPTY, .span_id = EMPTY, .value = NAN};
  ranges_clear(&d->inner);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 2 << 3 | FIXED64: e->time = f.value; break;
      case 3 << 3 | FIXED64:
        e->value = as_double(f.value);
        e->rest = 0;
        break;
      case 4 << 3 | LENGTH: e->span_id = f.range; break;
      case 5 << 3 | LENGTH: e->trace_id = f.range; break;
      case 6 << 3 | FIXED64:
        e->value = (double)(int64_t)f.value;
        e->rest = rest_of((int64_t)f.value);
        break;
      case 7 << 3 | LENGTH:
        if (ranges_add(d, &d->inner, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      default: break;
    }
  }
  return attributes_json(d, &d->inner, false, &d->text);
}

// Exemplars are read twice: to see whether they are sound before the point is stored, and to store them.
static int check_exemplars(decoder *d) {
  int verdict = OK;
  exemplar e;
  if (d->events.more) d->cut |= 1u << LIST_CUT;
  for (size_t i = 0; i < d->events.count; i++) {
    int of_exemplar = read_exemplar(d, d->events.items[i], &e);
    if (of_exemplar == MALFORMED) return MALFORMED;
    if (verdict == OK) verdict = of_exemplar;
  }
  return verdict;
}

// One that is out of time takes its point's, so that it cannot open a partition of its own.
static void put_exemplars(decoder *d, const metric *m, const point *p, table *lists) {
  table *t = &d->tables[EXEMPLARS];
  if (d->events.count && d->seen[EXEMPLARS].metric != d->serial) {
    d->seen[EXEMPLARS].metric = d->serial;
    d->seen[EXEMPLARS].metric_name = word(t, X_METRIC, m->name);
    if (d->seen[EXEMPLARS].resource != d->origin.resource_serial)
      d->seen[EXEMPLARS].words[0] = word(t, X_SERVICE, buffer_bytes(&d->origin.service));
    d->seen[EXEMPLARS].resource = d->origin.resource_serial;
  }
  for (size_t i = 0; i < d->events.count; i++) {
    exemplar e;
    read_exemplar(d, d->events.items[i], &e);
    if (e.time < d->limits.earliest || e.time > d->limits.latest) e.time = p->time;
    bytes attributes = buffer_bytes(&d->text);
    put(t, C_ORGANIZATION, d->owner.organization_id, 16);
    put(t, C_WORKSPACE, d->owner.workspace_id, 16);
    put(t, C_TENANT, d->owner.tenant_id, 16);
    put_u16(t, C_RETENTION, (uint16_t)d->owner.retention_days);
    put_u64(t, X_TIME, e.time);
    put_u32(t, X_METRIC, d->seen[EXEMPLARS].metric_name);
    put_u32(t, X_SERVICE, d->seen[EXEMPLARS].words[0]);
    put(t, X_TRACE, id_or_none(e.trace_id, 16), 16);
    put(t, X_SPAN, id_or_none(e.span_id, 8), 8);
    put(t, X_VALUE, &e.value, 8);
    put_u16(t, X_REST, e.rest);
    put_text(t, X_ATTRIBUTES, attributes);
    t->rows++;
    if (!lists) continue;
    put_item(lists, H_EX_TIME, &e.time, 8);
    put_item(lists, H_EX_TIME + 1, &e.value, 8);
    put_item(lists, H_EX_TIME + 2, id_or_none(e.trace_id, 16), 16);
    put_item(lists, H_EX_TIME + 3, id_or_none(e.span_id, 8), 8);
    put_item_text(lists, H_EX_ATTRIBUTES, attributes);
  }
  for (size_t c = H_EX_TIME; lists && c <= H_EX_ATTRIBUTES; c++) end_array(lists, c);
}

typedef struct {
  uint64_t hash;  // of the JSON
  uint64_t shape;
  remembered *memory;
} attributes;

// A series sends the same attributes every time: what they become is remembered by the bytes they came in.
static int number_attributes(decoder *d, bytes raw, attributes *a) {
  a->memory = length_of(raw) ? recall(d, raw) : NULL;
  if (!a->memory) {
    int verdict = attributes_json(d, &d->pairs, true, &d->json);
    if (verdict != OK) return verdict;
    a->memory = length_of(raw) && !d->cut ? remember(d, raw) : NULL;
  }
  a->shape = a->memory ? a->memory->shape : d->shape;
  a->hash = a->memory ? a->memory->json_hash : hash_bytes(d->json.data, d->json.size, 0) ^ d->lost;
  return OK;
}

// The index of the attributes in the table's dictionary.
static uint32_t known_word(decoder *d, table *t, const attributes *a) {
  remembered *m = a->memory;
  if (!m) return word(t, ATTRIBUTES, buffer_bytes(&d->json));
  if (m->batch != d->batch) {
    m->batch = d->batch;
    m->word = word(t, ATTRIBUTES, remembered_json(d, m));
  }
  return m->word;
}

int read_number(decoder *d, metric *head, bytes message) {
  field f;
  int more;
  point p = {0};
  uint8_t kind = 0;
  double value = 0;
  uint16_t rest = 0;
  bytes raw = EMPTY;  // the attributes as they came, where they came one after the other
  unsigned runs = 0;
  ranges_clear(&d->pairs);
  ranges_clear(&d->events);
  for (bytes m = message, before = m; (more = next_field(&m, &f)); before = m) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 2 << 3 | FIXED64: p.start = f.value; break;
      case 3 << 3 | FIXED64: p.time = f.value; break;
      case 4 << 3 | FIXED64:
        kind = 1;
        value = as_double(f.value);
        rest = 0;
        break;
      case 5 << 3 | LENGTH:
        if (ranges_add(d, &d->events, f.range, A_EXEMPLAR) == MALFORMED) return MALFORMED;
        break;
      case 6 << 3 | FIXED64:
        kind = 2;
        value = (double)(int64_t)f.value;
        rest = rest_of((int64_t)f.value);
        break;
      case 7 << 3 | LENGTH:
        if (ranges_add(d, &d->pairs, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        if (!runs || raw.end != before.at) {
          runs++;
          raw.at = before.at;
        }
        raw.end = m.at;
        break;
      case 8 << 3 | VARINT: p.flags = f.value; break;
      case REFUSED << 3 | VARINT: p.is_refused = true; break;
      default: break;
    }
  }
  attributes known;
  int verdict = number_attributes(d, runs == 1 ? raw : EMPTY, &known), of_exemplars = check_exemplars(d);
  if (verdict == MALFORMED || of_exemplars == MALFORMED) return MALFORMED;
  if (verdict == OK) verdict = of_exemplars;
  if (verdict == OK) verdict = judge(d, &p);
  if (verdict == OK && is_marker(&p)) {
    kind = 0, value = 0, rest = 0;
    ranges_clear(&d->events);
  } else if (verdict == OK && !kind) {
    verdict = NO_VALUE;
  }
  if (verdict == OK && !admit(d, head, known.hash, &p)) verdict = TOO_MANY_SERIES;
  if (verdict != OK) return reject(d, verdict);
  p.shape = known.shape;
  table *t = &d->tables[NUMBERS];
  put_point(d, NUMBERS, head, known_word(d, t, &known), &p);
  put_u8(t, N_TYPE, head->type);
  put_u8(t, N_TEMPORALITY, head->temporality);
  put_u8(t, N_MONOTONIC, head->monotonic);
  put(t, N_VALUE, &value, 8);
  put_u16(t, N_REST, rest);
  put_u8(t, N_IS_INT, kind == 2);
  exemplar e = {.trace_id = EMPTY, .span_id = EMPTY};
  d->text.size = 0;
  if (d->events.count) read_exemplar(d, d->events.items[0], &e);
  put(t, N_EX_TRACE, id_or_none(e.trace_id, 16), 16);
  put(t, N_EX_SPAN, id_or_none(e.span_id, 8), 8);
  put_u64(t, N_EX_TIME, as_time(e.time));
  put(t, N_EX_VALUE, &e.value, 8);
  put_text(t, N_EX_ATTRIBUTES, buffer_bytes(&d->text));
  put_exemplars(d, head, &p, NULL);
  return OK;
}

// Numbers of a repeated field, packed or one by one, appended to a list of eight bytes each.
static bool add_fixed(decoder *d, buffer *list, const field *f) {
  if (f->type == FIXED64) {
    if (list->size <= LIST_MAX * 8 && !buffer_put(list, &f->value, 8)) d->out_of_memory = true;
    return true;
  }
  if (f->type != LENGTH) return true;
  size_t size = length_of(f->range);
  if (size % 8) return false;
  if (size > LIST_MAX * 8) size = LIST_MAX * 8 + 8;
  if (list->size <= LIST_MAX * 8 && !buffer_put(list, f->range.at, size)) d->out_of_memory = true;
  return true;
}

static bool add_varints(decoder *d, buffer *list, const field *f) {
  uint64_t value;
  if (f->type == VARINT && list->size <= LIST_MAX * 8 && !buffer_put(list, &f->value, 8)) d->out_of_memory = true;
  if (f->type != LENGTH) return true;
  for (bytes m = f->range; m.at < m.end;) {
    if (!read_varint(&m, &value)) return false;
    if (list->size <= LIST_MAX * 8 && !buffer_put(list, &value, 8)) d->out_of_memory = true;
  }
  return true;
}

static void put_list(table *t, size_t c, const buffer *list) {
  put(t, c, list->data, list->size);
  t->columns[c].items += list->size / 8;
  end_array(t, c);
}

static int32_t unzigzag(uint64_t v) { return (int32_t)((uint32_t)v >> 1 ^ (0 - ((uint32_t)v & 1))); }

// The sum, minimum and maximum of a distribution, each of which may be unset.
typedef struct {
  point p;
  uint64_t count, sum, min, max;
  bool has_sum, has_min, has_max;
} distribution;

static void put_distribution(decoder *d, size_t number, metric *m, const distribution *h) {
  table *t = &d->tables[number];
  put_point(d, number, m, word(t, ATTRIBUTES, buffer_bytes(&d->json)), &h->p);
  put_u8(t, H_TEMPORALITY, m->temporality);
  put_u64(t, H_COUNT, h->count);
  put_nullable(t, H_SUM, h->has_sum, h->sum);
  put_nullable(t, H_MIN, h->has_min, h->min);
  put_nullable(t, H_MAX, h->has_max, h->max);
  put_exemplars(d, m, &h->p, t);
}

// What follows once all fields of a distribution are read: OK, a reason or MALFORMED.
static int judge_distribution(decoder *d, const metric *m, distribution *h, bool sound) {
  int verdict = attributes_json(d, &d->pairs, true, &d->json);
  h->p.shape = d->shape;
  const uint64_t hash = hash_bytes(d->json.data, d->json.size, 0) ^ d->lost;
  int of_exemplars = check_exemplars(d);
  if (verdict == MALFORMED || of_exemplars == MALFORMED) return MALFORMED;
  if (verdict == OK) verdict = of_exemplars;
  if (verdict == OK) verdict = judge(d, &h->p);
  if (verdict == OK && is_marker(&h->p)) {
    *h = (distribution){.p = h->p};
    d->lists[0].size = d->lists[1].size = 0;
    ranges_clear(&d->events);
  } else if (verdict == OK && !sound) {
    verdict = INVALID_HISTOGRAM;
  }
  if (verdict == OK && !admit(d, m, hash, &h->p)) verdict = TOO_MANY_SERIES;
  return verdict;
}

static bool are_countable(const buffer *counts) {
  for (size_t i = 0; i < counts->size; i += 8)
    if (load64(counts->data + i) > COUNT_MAX) return false;
  return true;
}

static bool is_increasing(const buffer *bounds) {
  if (bounds->size && isnan(as_double(load64(bounds->data)))) return false;
  for (size_t i = 8; i < bounds->size; i += 8)
    if (!(as_double(load64(bounds->data + i - 8)) < as_double(load64(bounds->data + i)))) return false;
  return true;
}

int read_histogram(decoder *d, metric *head, bytes message) {
  field f;
  int more;
  distribution h = {0};
  buffer *counts = &d->lists[0], *bounds = &d->lists[1];
  ranges_clear(&d->pairs);
  ranges_clear(&d->events);
  counts->size = bounds->size = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (f.number == 6 && !add_fixed(d, counts, &f)) return MALFORMED;
    if (f.number == 7 && !add_fixed(d, bounds, &f)) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 2 << 3 | FIXED64: h.p.start = f.value; break;
      case 3 << 3 | FIXED64: h.p.time = f.value; break;
      case 4 << 3 | FIXED64: h.count = f.value; break;
      case 5 << 3 | FIXED64: h.sum = f.value; h.has_sum = true; break;
      case 8 << 3 | LENGTH:
        if (ranges_add(d, &d->events, f.range, A_EXEMPLAR) == MALFORMED) return MALFORMED;
        break;
      case 9 << 3 | LENGTH:
        if (ranges_add(d, &d->pairs, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      case 10 << 3 | VARINT: h.p.flags = f.value; break;
      case REFUSED << 3 | VARINT: h.p.is_refused = true; break;
      case 11 << 3 | FIXED64: h.min = f.value; h.has_min = true; break;
      case 12 << 3 | FIXED64: h.max = f.value; h.has_max = true; break;
      default: break;
    }
  }
  bool empty = !counts->size && !bounds->size;
  bool sound = counts->size <= LIST_MAX * 8 && (empty || counts->size == bounds->size + 8) && is_increasing(bounds) &&
               h.count <= COUNT_MAX && are_countable(counts);
  int verdict = judge_distribution(d, head, &h, sound);
  if (verdict != OK) return verdict == MALFORMED ? MALFORMED : reject(d, verdict);
  put_distribution(d, HISTOGRAMS, head, &h);
  put_list(&d->tables[HISTOGRAMS], H_BOUNDS, bounds);
  put_list(&d->tables[HISTOGRAMS], H_COUNTS, counts);
  return OK;
}

static int read_buckets(decoder *d, bytes message, int32_t *offset, buffer *counts) {
  field f;
  int more;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (IS(f, 1, VARINT)) *offset = unzigzag(f.value);
    if (f.number == 2 && !add_varints(d, counts, &f)) return MALFORMED;
  }
  return OK;
}

int read_exponential(decoder *d, metric *head, bytes message) {
  field f;
  int more;
  distribution h = {0};
  int32_t scale = 0, positive_offset = 0, negative_offset = 0;
  uint64_t zero_count = 0, zero_threshold = 0;
  buffer *positive = &d->lists[0], *negative = &d->lists[1];
  ranges_clear(&d->pairs);
  ranges_clear(&d->events);
  positive->size = negative->size = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 1 << 3 | LENGTH:
        if (ranges_add(d, &d->pairs, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      case 2 << 3 | FIXED64: h.p.start = f.value; break;
      case 3 << 3 | FIXED64: h.p.time = f.value; break;
      case 4 << 3 | FIXED64: h.count = f.value; break;
      case 5 << 3 | FIXED64: h.sum = f.value; h.has_sum = true; break;
      case 6 << 3 | VARINT: scale = unzigzag(f.value); break;
      case 7 << 3 | FIXED64: zero_count = f.value; break;
      // Pieces of one message add up, which is what protobuf asks for.
      case 8 << 3 | LENGTH:
        if (read_buckets(d, f.range, &positive_offset, positive) == MALFORMED) return MALFORMED;
        break;
      case 9 << 3 | LENGTH:
        if (read_buckets(d, f.range, &negative_offset, negative) == MALFORMED) return MALFORMED;
        break;
      case 10 << 3 | VARINT: h.p.flags = f.value; break;
      case REFUSED << 3 | VARINT: h.p.is_refused = true; break;
      case 11 << 3 | LENGTH:
        if (ranges_add(d, &d->events, f.range, A_EXEMPLAR) == MALFORMED) return MALFORMED;
        break;
      case 12 << 3 | FIXED64: h.min = f.value; h.has_min = true; break;
      case 13 << 3 | FIXED64: h.max = f.value; h.has_max = true; break;
      case 14 << 3 | FIXED64: zero_threshold = f.value; break;
      default: break;
    }
  }
  bool sound = scale >= -10 && scale <= 20 && positive->size <= LIST_MAX * 8 && negative->size <= LIST_MAX * 8 &&
               h.count <= COUNT_MAX && zero_count <= COUNT_MAX && are_countable(positive) && are_countable(negative) &&
               as_double(zero_threshold) >= 0 && isfinite(as_double(zero_threshold));
  int verdict = judge_distribution(d, head, &h, sound);
  if (verdict != OK) return verdict == MALFORMED ? MALFORMED : reject(d, verdict);
  if (is_marker(&h.p)) scale = positive_offset = negative_offset = 0, zero_count = zero_threshold = 0;
  put_distribution(d, EXPONENTIALS, head, &h);
  table *t = &d->tables[EXPONENTIALS];
  put_u32(t, E_SCALE, (uint32_t)scale);
  put_u64(t, E_ZERO_COUNT, zero_count);
  put_u64(t, E_ZERO_THRESHOLD, zero_threshold);
  put_u32(t, E_POSITIVE_OFFSET, (uint32_t)positive_offset);
  put_list(t, E_POSITIVE, positive);
  put_u32(t, E_NEGATIVE_OFFSET, (uint32_t)negative_offset);
  put_list(t, E_NEGATIVE, negative);
  return OK;
}

int read_summary(decoder *d, metric *head, bytes message) {
  field f, g;
  int more;
  distribution h = {0};
  buffer *quantiles = &d->lists[0], *values = &d->lists[1];
  ranges_clear(&d->pairs);
  ranges_clear(&d->events);
  quantiles->size = values->size = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 2 << 3 | FIXED64: h.p.start = f.value; break;
      case 3 << 3 | FIXED64: h.p.time = f.value; break;
      case 4 << 3 | FIXED64: h.count = f.value; break;
      case 5 << 3 | FIXED64: h.sum = f.value; break;
      case 6 << 3 | LENGTH: {
        uint64_t quantile = 0, value = 0;
        for (bytes n = f.range; (more = next_field(&n, &g));) {
          if (more < 0) return MALFORMED;
          if (IS(g, 1, FIXED64)) quantile = g.value;
          if (IS(g, 2, FIXED64)) value = g.value;
        }
        if (quantiles->size <= LIST_MAX * 8 && (!buffer_put(quantiles, &quantile, 8) || !buffer_put(values, &value, 8)))
          d->out_of_memory = true;
        break;
      }
      case 7 << 3 | LENGTH:
        if (ranges_add(d, &d->pairs, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      case 8 << 3 | VARINT: h.p.flags = f.value; break;
      case REFUSED << 3 | VARINT: h.p.is_refused = true; break;
      default: break;
    }
  }
  int verdict = judge_distribution(d, head, &h, quantiles->size <= LIST_MAX * 8 && h.count <= COUNT_MAX);
  if (verdict != OK) return verdict == MALFORMED ? MALFORMED : reject(d, verdict);
  table *t = &d->tables[SUMMARIES];
  put_point(d, SUMMARIES, head, word(t, ATTRIBUTES, buffer_bytes(&d->json)), &h.p);
  put_u64(t, S_COUNT, h.count);
  put_u64(t, S_SUM, h.sum);
  put_list(t, S_QUANTILES, quantiles);
  put_list(t, S_VALUES, values);
  return OK;
}

bool points_open(decoder *d) {
  return table_open(&d->tables[NUMBERS], "metrics_v3", NUMBER_COLUMNS, N_COLUMNS) &&
         table_open(&d->tables[HISTOGRAMS], "metric_histograms", HISTOGRAM_COLUMNS, H_COLUMNS) &&
         table_open(&d->tables[EXPONENTIALS], "metric_exponential_histograms", EXPONENTIAL_COLUMNS, E_COLUMNS) &&
         table_open(&d->tables[SUMMARIES], "metric_summaries", SUMMARY_COLUMNS, S_COLUMNS) &&
         table_open(&d->tables[EXEMPLARS], "exemplars_v3", EXEMPLAR_COLUMNS, X_COLUMNS);
}
