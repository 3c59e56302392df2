// Which series there are: a row for each half hour in which a series has a point, for readers that ask who is there
// (docs/adr/0028). What has a row is known by hashes, also beyond the batch; so most points cost a look, and most batches
// have no row.
#ifndef DUOSCOPE_METRIC_SERIES_H
#define DUOSCOPE_METRIC_SERIES_H

#include "columns/buffer.h"
#include "columns/hash_set.h"
#include "types.h"

typedef struct {
  hash_set now, before;  // this period's and the last one's
  buffer undo;           // hashes that this request added
} metric_series;

bool metric_series_open(decoder *d);
void metric_series_close(metric_series *s);
void metric_series_forget(metric_series *s);  // everything: rows may have been lost
void metric_series_rotate(metric_series *s);  // what was not seen since the last time
void metric_series_mark(metric_series *s);
void metric_series_revert(metric_series *s);  // the rows themselves are the table's to take back

#endif
