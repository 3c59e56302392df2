#include "rows/points.h"

#include "rows/emit.h"

void put_point(decoder *d, enum metric_table number, metric *m, uint32_t attributes, const point *p, const buffer *own) {
  table *t = &d->tables[number];
  const uint64_t series = hash_of_series(d, m, p, own);
  put_origin(d, number);
  if (d->seen[number].metric != d->serial) {
    d->seen[number].metric = d->serial;
    d->seen[number].metric_name = word(t, P_METRIC_NAME, m->name);
    d->seen[number].unit = word(t, P_UNIT, m->unit);
  }
  put_u64(t, P_TIMESTAMP, p->time);
  put_u64(t, P_SINCE_START, p->start ? p->time - as_time(p->start) : UNSET);
  put_u32(t, P_METRIC_NAME, d->seen[number].metric_name);
  put_u32(t, P_UNIT, d->seen[number].unit);
  put_u32(t, P_ATTRIBUTES, attributes);
  put_u64(t, P_SERIES, p->series);
  put_u32(t, P_FLAGS, (uint32_t)p->flags);
  count_stored(d, t);
  if (is_marker(p)) return;
  if (p->time < m->first) m->first = p->time;
  if (p->time > m->last) m->last = p->time;
  catalogue_item(d, p->time, p->schema_hash, NULL);
  series_item(d, series, m, p, t, attributes, own);
}
