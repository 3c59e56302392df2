// Points of histograms, exponential histograms and summaries: many numbers each.
#include <math.h>

#include "columns/hash.h"
#include "rows/emit.h"
#include "rows/exemplars.h"
#include "rows/points.h"
#include "values/attributes.h"

#define HISTOGRAM_COLUMNS(COLUMN)                    \
  COLUMN(H_BOUNDS, "bucket_bounds", AS_F64_LIST)     \
  COLUMN(H_COUNTS, "bucket_counts", AS_U64_LIST)
enum { BEFORE_HISTOGRAM_COLUMNS = DISTRIBUTION_END - 1, HISTOGRAM_COLUMNS(COLUMN_ID) H_COLUMNS };

#define EXPONENTIAL_COLUMNS(COLUMN)                              \
  COLUMN(E_SCALE, "scale", AS_I32)                               \
  COLUMN(E_ZERO_COUNT, "zero_count", AS_U64)                     \
  COLUMN(E_ZERO_THRESHOLD, "zero_threshold", AS_F64)             \
  COLUMN(E_POSITIVE_OFFSET, "positive_offset", AS_I32)           \
  COLUMN(E_POSITIVE, "positive_bucket_counts", AS_U64_LIST)      \
  COLUMN(E_NEGATIVE_OFFSET, "negative_offset", AS_I32)           \
  COLUMN(E_NEGATIVE, "negative_bucket_counts", AS_U64_LIST)
enum { BEFORE_EXPONENTIAL_COLUMNS = DISTRIBUTION_END - 1, EXPONENTIAL_COLUMNS(COLUMN_ID) E_COLUMNS };

#define SUMMARY_COLUMNS(COLUMN)                          \
  COLUMN(S_COUNT, "count", AS_U64)                       \
  COLUMN(S_SUM, "sum", AS_F64)                           \
  COLUMN(S_QUANTILES, "quantiles", AS_F64_LIST)          \
  COLUMN(S_VALUES, "quantile_values", AS_F64_LIST)
enum { BEFORE_SUMMARY_COLUMNS = POINT_END - 1, SUMMARY_COLUMNS(COLUMN_ID) S_COLUMNS };

#define OF_POINTS ORIGIN_COLUMNS(COLUMN_SPEC) POINT_COLUMNS(COLUMN_SPEC)
static const column_spec HISTOGRAM_SPECS[] = {OF_POINTS DISTRIBUTION_COLUMNS(COLUMN_SPEC) HISTOGRAM_COLUMNS(COLUMN_SPEC)};
static const column_spec EXPONENTIAL_SPECS[] = {OF_POINTS DISTRIBUTION_COLUMNS(COLUMN_SPEC) EXPONENTIAL_COLUMNS(COLUMN_SPEC)};
static const column_spec SUMMARY_SPECS[] = {OF_POINTS SUMMARY_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(HISTOGRAM_SPECS, H_COLUMNS);
HAS_COLUMNS(EXPONENTIAL_SPECS, E_COLUMNS);
HAS_COLUMNS(SUMMARY_SPECS, S_COLUMNS);

enum { LIST_MAX = 10000 };  // buckets, bounds, quantiles, exemplars of one point
// Of a distribution, and of each of its buckets. Sums of such keep within 64 bits, and doubles have every one of them.
#define COUNT_MAX ((uint64_t)1 << 53)

bool distributions_open(decoder *d) {
  return table_open(&d->tables[HISTOGRAMS], "histogram_points", HISTOGRAM_SPECS, H_COLUMNS) &&
         table_open(&d->tables[EXPONENTIALS], "exponential_histogram_points", EXPONENTIAL_SPECS, E_COLUMNS) &&
         table_open(&d->tables[SUMMARIES], "summary_points", SUMMARY_SPECS, S_COLUMNS);
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

static void put_distribution(decoder *d, enum metric_table number, metric *m, const distribution *h, const buffer *own) {
  table *t = &d->tables[number];
  put_point(d, number, m, word(t, P_ATTRIBUTES, buffer_bytes(&d->json)), &h->p, own);
  put_u8(t, D_TEMPORALITY, m->temporality);
  put_u64(t, D_COUNT, h->count);
  put_nullable(t, D_SUM, h->has_sum, h->sum);
  put_nullable(t, D_MIN, h->has_min, h->min);
  put_nullable(t, D_MAX, h->has_max, h->max);
  put_exemplars(d, m, &h->p, t);
}

// What follows once all fields of a distribution are read: OK, a reason or MALFORMED.
static int judge_distribution(decoder *d, const metric *m, distribution *h, bool sound) {
  int verdict = attributes_json(d, &d->pairs, true, &d->json);
  h->p.schema_hash = d->attributes.schema_hash;
  const uint64_t hash = hash_bytes(d->json.data, d->json.size, 0) ^ d->attributes.lost_hash;
  int of_exemplars = check_exemplars(d);
  if (verdict == MALFORMED || of_exemplars == MALFORMED) return MALFORMED;
  if (verdict == OK) verdict = of_exemplars;
  if (verdict == OK) verdict = judge_point(d, &h->p);
  if (verdict == OK && is_marker(&h->p)) {
    *h = (distribution){.p = h->p};
    d->lists[0].size = d->lists[1].size = 0;
    ranges_clear(&d->events);
  } else if (verdict == OK && !sound) {
    verdict = INVALID_HISTOGRAM;
  }
  if (verdict == OK && !admit_point(d, m, hash, &h->p)) verdict = TOO_MANY_SERIES;
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
    if (f.number == FIELD_HISTOGRAM_DATA_POINT_BUCKET_COUNTS && !add_fixed(d, counts, &f)) return MALFORMED;
    if (f.number == FIELD_HISTOGRAM_DATA_POINT_EXPLICIT_BOUNDS && !add_fixed(d, bounds, &f)) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_HISTOGRAM_DATA_POINT_START_TIME_UNIX_NANO: h.p.start = f.value; break;
      case TAG_HISTOGRAM_DATA_POINT_TIME_UNIX_NANO: h.p.time = f.value; break;
      case TAG_HISTOGRAM_DATA_POINT_COUNT: h.count = f.value; break;
      case TAG_HISTOGRAM_DATA_POINT_SUM: h.sum = f.value; h.has_sum = true; break;
      case TAG_HISTOGRAM_DATA_POINT_EXEMPLARS:
        if (add_range(d, &d->events, f.range, MESSAGE_EXEMPLAR) == MALFORMED) return MALFORMED;
        break;
      case TAG_HISTOGRAM_DATA_POINT_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_HISTOGRAM_DATA_POINT_FLAGS: h.p.flags = f.value; break;
      case TAG_REFUSED: h.p.is_refused = true; break;
      case TAG_HISTOGRAM_DATA_POINT_MIN: h.min = f.value; h.has_min = true; break;
      case TAG_HISTOGRAM_DATA_POINT_MAX: h.max = f.value; h.has_max = true; break;
      default: break;
    }
  }
  bool empty = !counts->size && !bounds->size;
  bool sound = counts->size <= LIST_MAX * 8 && (empty || counts->size == bounds->size + 8) && is_increasing(bounds) &&
               h.count <= COUNT_MAX && are_countable(counts);
  int verdict = judge_distribution(d, head, &h, sound);
  if (verdict != OK) return verdict == MALFORMED ? MALFORMED : reject(d, verdict);
  put_distribution(d, HISTOGRAMS, head, &h, bounds);
  put_list(&d->tables[HISTOGRAMS], H_BOUNDS, bounds);
  put_list(&d->tables[HISTOGRAMS], H_COUNTS, counts);
  return OK;
}

static int read_buckets(decoder *d, bytes message, int32_t *offset, buffer *counts) {
  field f;
  int more;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (tag_of(&f) == TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS_OFFSET) *offset = unzigzag(f.value);
    if (f.number == FIELD_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS_BUCKET_COUNTS && !add_varints(d, counts, &f)) return MALFORMED;
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
    switch (tag_of(&f)) {
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_START_TIME_UNIX_NANO: h.p.start = f.value; break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_TIME_UNIX_NANO: h.p.time = f.value; break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_COUNT: h.count = f.value; break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_SUM: h.sum = f.value; h.has_sum = true; break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_SCALE: scale = unzigzag(f.value); break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_ZERO_COUNT: zero_count = f.value; break;
      // Pieces of one message add up, which is what protobuf asks for.
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_POSITIVE:
        if (read_buckets(d, f.range, &positive_offset, positive) == MALFORMED) return MALFORMED;
        break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_NEGATIVE:
        if (read_buckets(d, f.range, &negative_offset, negative) == MALFORMED) return MALFORMED;
        break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_FLAGS: h.p.flags = f.value; break;
      case TAG_REFUSED: h.p.is_refused = true; break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_EXEMPLARS:
        if (add_range(d, &d->events, f.range, MESSAGE_EXEMPLAR) == MALFORMED) return MALFORMED;
        break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_MIN: h.min = f.value; h.has_min = true; break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_MAX: h.max = f.value; h.has_max = true; break;
      case TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_ZERO_THRESHOLD: zero_threshold = f.value; break;
      default: break;
    }
  }
  bool sound = scale >= -10 && scale <= 20 && positive->size <= LIST_MAX * 8 && negative->size <= LIST_MAX * 8 &&
               h.count <= COUNT_MAX && zero_count <= COUNT_MAX && are_countable(positive) && are_countable(negative) &&
               as_double(zero_threshold) >= 0 && isfinite(as_double(zero_threshold));
  int verdict = judge_distribution(d, head, &h, sound);
  if (verdict != OK) return verdict == MALFORMED ? MALFORMED : reject(d, verdict);
  if (is_marker(&h.p)) scale = positive_offset = negative_offset = 0, zero_count = zero_threshold = 0;
  put_distribution(d, EXPONENTIALS, head, &h, NULL);
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
    switch (tag_of(&f)) {
      case TAG_SUMMARY_DATA_POINT_START_TIME_UNIX_NANO: h.p.start = f.value; break;
      case TAG_SUMMARY_DATA_POINT_TIME_UNIX_NANO: h.p.time = f.value; break;
      case TAG_SUMMARY_DATA_POINT_COUNT: h.count = f.value; break;
      case TAG_SUMMARY_DATA_POINT_SUM: h.sum = f.value; break;
      case TAG_SUMMARY_DATA_POINT_QUANTILE_VALUES: {
        uint64_t quantile = 0, value = 0;
        for (bytes n = f.range; (more = next_field(&n, &g));) {
          if (more < 0) return MALFORMED;
          if (tag_of(&g) == TAG_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE_QUANTILE) quantile = g.value;
          if (tag_of(&g) == TAG_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE_VALUE) value = g.value;
        }
        if (quantiles->size <= LIST_MAX * 8 && (!buffer_put(quantiles, &quantile, 8) || !buffer_put(values, &value, 8)))
          d->out_of_memory = true;
        break;
      }
      case TAG_SUMMARY_DATA_POINT_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_SUMMARY_DATA_POINT_FLAGS: h.p.flags = f.value; break;
      case TAG_REFUSED: h.p.is_refused = true; break;
      default: break;
    }
  }
  int verdict = judge_distribution(d, head, &h, quantiles->size <= LIST_MAX * 8 && h.count <= COUNT_MAX);
  if (verdict != OK) return verdict == MALFORMED ? MALFORMED : reject(d, verdict);
  table *t = &d->tables[SUMMARIES];
  put_point(d, SUMMARIES, head, word(t, P_ATTRIBUTES, buffer_bytes(&d->json)), &h.p, quantiles);
  put_u64(t, S_COUNT, h.count);
  put_u64(t, S_SUM, h.sum);
  put_list(t, S_QUANTILES, quantiles);
  put_list(t, S_VALUES, values);
  return OK;
}
