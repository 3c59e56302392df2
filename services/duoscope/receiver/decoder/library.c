// What Python calls. A decoder gathers the rows of requests of one signal; one thread at a time may use it.
#include <stdlib.h>

#include "columns/hash.h"
#include "decoder.h"
#include "json/transcoded.h"
#include "rows/signals.h"

#define EXPORT __attribute__((visibility("default")))

static const struct {
  bool (*open)(decoder *d);
  int (*read)(decoder *d, bytes request);
} SIGNALS[] = {{traces_open, traces_read}, {logs_open, logs_read}, {metrics_open, metrics_read}};

EXPORT void duoscope_close(decoder *d) {
  if (!d) return;
  for (size_t t = 0; t < d->table_count; t++) table_close(&d->tables[t]);
  buffer *buffers[] = {&d->origin.resource, &d->origin.scope_attributes, &d->origin.service, &d->json, &d->text,
                       &d->undo, &d->refused, &d->typed.values, &d->typed.names};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]->data);
  for (size_t i = 0; i < LISTS_MAX; i++) free(d->lists[i].data);
  ranges *lists[] = {&d->pairs, &d->inner, &d->events, &d->links, &d->resource_pairs};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]->items);
  attribute_cache_close(&d->attribute_cache);
  catalogue_close(&d->catalogue);
  field_values_close(&d->field_values);
  metric_series_close(&d->metric_series);
  drop_joined(&d->joined, NULL);
  free(d);
}

// The size of a structure that Python has as well, by its place here; 0: there is none. Python looks when it loads the library.
EXPORT size_t duoscope_size_of(size_t number) {
  static const size_t sizes[] = {sizeof(limits), sizeof(owner), sizeof(outcome), sizeof(transcoded)};
  return number < sizeof sizes / sizeof *sizes ? sizes[number] : 0;
}

// A secret of this process; once, before anything else.
EXPORT void duoscope_seed(uint64_t secret) { hash_secret = secret; }

EXPORT decoder *duoscope_open(int signal) {
  decoder *d = calloc(1, sizeof(decoder));
  if (!d) return NULL;
  d->signal = (enum signal)signal;
  d->batch = 1;
  if (!SIGNALS[signal].open(d) || !catalogue_open(d)) {
    duoscope_close(d);
    return NULL;
  }
  return d;
}

EXPORT void duoscope_clear(decoder *d) {
  for (size_t t = 0; t < d->table_count; t++) table_clear(&d->tables[t]);
  memset(d->seen, 0, sizeof d->seen);
  d->batch++;
}

// Let the catalogues have rows of what they had already: it is time for that of metrics; also for the names, which need no new
// row on the same day; or the last batch came to nothing. The numbers are also in __init__.py.
EXPORT void duoscope_forget(decoder *d, int what) {
  enum { METRICS_SEEN, NAMES, ALL };
  if (d->signal == METRICS) metrics_forget(d);
  if (what >= NAMES) catalogue_forget(&d->catalogue);
  if (what == NAMES) metric_series_rotate(&d->metric_series);
  if (what == ALL) metric_series_forget(&d->metric_series);
}

// Append the rows of a request. 0: done, what was rejected is in `result`. Else nothing was appended: -1 malformed, -2 no memory,
// -3 more items than one request may have. `refuse`: numbers of points to refuse, as `duoscope_refused` gave them the first time.
EXPORT int duoscope_add(decoder *d, const uint8_t *request, size_t size, const owner *o, const limits *l, series *s,
                        const uint32_t *refuse, size_t refuse_count, outcome *result) {
  enum { SLACK = 1 << 20 };
  *result = (outcome){0};
  d->owner = *o;
  d->limits = *l;
  d->series = s;
  d->outcome = result;
  d->out_of_memory = d->too_many_items = d->joined.out_of_memory = false;
  d->joined.max = 4 * size + SLACK;
  d->nodes = d->undo.size = d->refused.size = d->asked = 0;
  d->refuse = refuse;
  d->refuse_end = refuse + refuse_count;
  for (size_t t = 0; t < d->table_count; t++) table_mark(&d->tables[t]);
  catalogue_mark(&d->catalogue);
  field_values_mark(&d->field_values);
  metric_series_mark(&d->metric_series);
  int verdict = SIGNALS[d->signal].read(d, (bytes){request, request + size});
  drop_joined(&d->joined, NULL);
  buffer *scratch[] = {&d->origin.resource, &d->origin.scope_attributes, &d->origin.service, &d->json, &d->text, &d->undo};
  for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) buffer_trim(scratch[i]);
  d->out_of_memory |= d->joined.out_of_memory;
  for (size_t t = 0; t < d->table_count; t++) d->out_of_memory |= d->tables[t].out_of_memory;
  if (verdict == OK && !d->out_of_memory) {
    field_values_request(d);
    return 0;
  }
  if (d->signal == METRICS) metrics_revert(d);
  catalogue_revert(&d->catalogue);
  metric_series_revert(&d->metric_series);
  d->batch++;  // words that were remembered may be gone
  for (size_t t = 0; t < d->table_count; t++) table_revert(&d->tables[t]);
  return d->out_of_memory ? -2 : d->too_many_items ? -3 : -1;
}

// Count the values of fields from now on; `duoscope_flush_values` makes rows of what was counted.
EXPORT void duoscope_count_values(decoder *d) { d->field_values.is_counting = d->field_values.of != NULL; }
EXPORT void duoscope_flush_values(decoder *d) { field_values_flush(d); }

// The points of the last request that the limit of active series refused; `count` of them.
EXPORT const uint32_t *duoscope_refused(const decoder *d, size_t *count) {
  *count = d->refused.size / sizeof(uint32_t);
  return (const uint32_t *)d->refused.data;
}

EXPORT size_t duoscope_tables(const decoder *d) { return d->table_count; }
EXPORT const char *duoscope_table(const decoder *d, size_t t) { return d->tables[t].name; }
EXPORT uint64_t duoscope_rows(const decoder *d, size_t t) { return d->tables[t].rows; }

// A table in Native format, written to `place`; its size. With NULL for a place it is only measured.
EXPORT size_t duoscope_native(const decoder *d, size_t t, uint8_t *place) { return table_native(&d->tables[t], place); }

EXPORT series *duoscope_series_open(void) { return series_open(); }
EXPORT void duoscope_series_close(series *s) { series_close(s); }
EXPORT void duoscope_series_rotate(series *s) { series_rotate(s); }
EXPORT uint64_t duoscope_series_active(const series *s) { return series_active(s); }
