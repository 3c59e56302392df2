// Exemplars of points: a table of their own, and lists beside distributions. They are d->events.
#ifndef DUOSCOPE_EXEMPLARS_H
#define DUOSCOPE_EXEMPLARS_H

#include "rows/points.h"

// Lists beside a distribution: in each table of one they are the same columns.
#define EXEMPLAR_LIST_COLUMNS(COLUMN)                                      \
  COLUMN(L_EX_TIME, "exemplar_timestamps", AS_TIME_LIST)                   \
  COLUMN(L_EX_VALUE, "exemplar_values", AS_F64_LIST)                       \
  COLUMN(L_EX_TRACE, "exemplar_trace_ids", AS_BYTES_LIST(16))              \
  COLUMN(L_EX_SPAN, "exemplar_span_ids", AS_BYTES_LIST(8))                 \
  COLUMN(L_EX_ATTRIBUTES, "exemplar_attributes", AS_TEXT_LIST)

// Columns that all distributions have, behind those of all points.
#define DISTRIBUTION_COLUMNS(COLUMN)                   \
  COLUMN(D_TEMPORALITY, "temporality", AS_TEMPORALITY) \
  COLUMN(D_COUNT, "count", AS_U64)                     \
  COLUMN(D_SUM, "sum", AS_OPTIONAL_F64)                \
  COLUMN(D_MIN, "min", AS_OPTIONAL_F64)                \
  COLUMN(D_MAX, "max", AS_OPTIONAL_F64)                \
  EXEMPLAR_LIST_COLUMNS(COLUMN)
enum { BEFORE_DISTRIBUTION_COLUMNS = POINT_END - 1, DISTRIBUTION_COLUMNS(COLUMN_ID) DISTRIBUTION_END };

typedef struct {
  bytes trace_id, span_id;
  uint64_t time;
  double value;
  uint16_t rest;
} exemplar;

bool exemplars_open(decoder *d);

// Its attributes go to d->text.
int read_exemplar(decoder *d, bytes message, exemplar *e);
int check_each_exemplar(decoder *d);
// Whether they are sound. They are read twice: before the point is stored, and to be stored. Most points have none.
static inline int check_exemplars(decoder *d) {
  return d->events.count | d->events.more ? check_each_exemplar(d) : OK;
}
// `lists`: of a distribution the table that has them in lists too, or NULL.
void put_exemplars(decoder *d, const metric *m, const point *p, table *lists);

#endif
