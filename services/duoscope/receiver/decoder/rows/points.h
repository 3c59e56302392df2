// Metric points: what those of all types have in common. A point needs a time and a value.
#ifndef DUOSCOPE_POINTS_H
#define DUOSCOPE_POINTS_H

#include "columns/hash.h"
#include "decoder.h"

enum metric_table { NUMBERS, HISTOGRAMS, EXPONENTIALS, SUMMARIES, EXEMPLARS, METRIC_CATALOGUE, METRIC_SERIES, METRIC_TABLES };

#define AS_METRIC_TYPE \
  AS_ENUM("'gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5")
#define AS_TEMPORALITY AS_ENUM("'unspecified' = 0, 'delta' = 1, 'cumulative' = 2")

// Columns that points of all types have, behind those of their origin.
#define POINT_COLUMNS(COLUMN)                        \
  COLUMN(P_TIMESTAMP, "timestamp", AS_TIME)          \
  COLUMN(P_SINCE_START, "since_start", AS_I64)       \
  COLUMN(P_METRIC_NAME, "metric_name", AS_WORD)      \
  COLUMN(P_UNIT, "unit", AS_WORD)                    \
  COLUMN(P_ATTRIBUTES, "attributes_json", AS_WORD)   \
  COLUMN(P_SERIES, "series_id", AS_U64)              \
  COLUMN(P_FLAGS, "flags", AS_U32)
enum { BEFORE_POINT_COLUMNS = ORIGIN_END - 1, POINT_COLUMNS(COLUMN_ID) POINT_END };

typedef struct {
  bytes name, unit, description;
  uint8_t type, temporality, monotonic;  // as the tables number them
  uint64_t first, last;                  // times of its stored points
  uint64_t name_hash;
  uint64_t hash;  // of all that tells it from others, and whose it is
  bool is_refused;
} metric;

// The field numbers differ between the types.
typedef struct {
  uint64_t time, start, flags, series;
  uint64_t schema_hash;  // of its attributes
  bool is_refused;
} point;

// NO_RECORDED_VALUE: the series ended, or has no value now. Such a point is kept for readers that want to know;
// what else is in it means nothing, and it lets nobody see a metric or an attribute.
static inline bool is_marker(const point *p) { return p->flags & DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK; }

// What an integer beyond 2^53 lost as a double.
static inline uint16_t rest_of(int64_t value) {
  double rounded = (double)value;
  return (uint16_t)((uint64_t)value - (rounded < 0x1p63 ? (uint64_t)(int64_t)rounded : (uint64_t)1 << 63));
}

// What is wrong with it whatever its type; OK: nothing.
static inline int judge_point(const decoder *d, const point *p) {
  if (p->is_refused) return INVALID_JSON_VALUE;
  if (!p->time) return TIME_MISSING;
  if (p->time < d->limits.earliest || p->time > d->limits.latest) return TIME_OUT_OF_RANGE;
  return OK;
}

// Whether its series may be active. `attributes_hash`: of their JSON.
static inline bool admit_point(decoder *d, const metric *m, uint64_t attributes_hash, point *p) {
  const origin *o = &d->origin;
  p->series = hash_bytes(&attributes_hash, 8, o->resource_hash ^ o->scope_hash);
  uint32_t number = d->asked++;
  if (d->refuse != d->refuse_end && *d->refuse == number) {
    d->refuse++;
    return false;
  }
  if (!d->series || !d->limits.series_max ||
      series_admit(d->series, m->name_hash ^ p->series, d->limits.series_max))
    return true;
  d->out_of_memory |= !buffer_put(&d->refused, &number, sizeof number);
  return false;
}

// The common columns of a row. `attributes`: their index in the table's dictionary. `own`: the values of the label that the points
// of a series differ by, the bounds of buckets or the quantiles; NULL where there is none.
void put_point(decoder *d, enum metric_table number, metric *m, uint32_t attributes, const point *p, const buffer *own);

// --- metric_series.c
uint64_t hash_of_metric(const decoder *d, const metric *m);
// The hash of a point's series and half hour, to be asked for some time before `series_item`. `own`: as of put_point.
uint64_t hash_of_series(const decoder *d, const metric *m, const point *p, const buffer *own);
// Puts the series of a point, which is in the table `points`, there if it is new.
void series_item(decoder *d, uint64_t hash, const metric *m, const point *p, const table *points, uint32_t attributes,
                 const buffer *own);

// --- number_points.c
bool numbers_open(decoder *d);
int read_number(decoder *d, metric *m, bytes point);

// --- distributions.c
bool distributions_open(decoder *d);
int read_histogram(decoder *d, metric *m, bytes point);
int read_exponential(decoder *d, metric *m, bytes point);
int read_summary(decoder *d, metric *m, bytes point);

#endif
