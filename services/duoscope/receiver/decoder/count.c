// How many items a request holds, for admission: no item is looked into, and nothing is kept.
#include "types.h"
#include "wire/otlp_fields.h"

#define EXPORT __attribute__((visibility("default")))

// From a request down to its items: resources, scopes, their items, and of metrics the points.
enum level { OF_REQUEST, OF_RESOURCE, OF_SCOPE, OF_METRIC, OF_DATA, OF_POINT };

// Whether a field leads on to the items, which are in the same fields for all signals (rows/origin.c). The oneof of a metric has its points in its first field, whatever its type.
static bool leads_on(const field *f, enum level level) {
  if (f->type != LENGTH) return false;
  switch (level) {
    case OF_REQUEST: return f->number == FIELD_EXPORT_TRACE_SERVICE_REQUEST_RESOURCE_SPANS;
    case OF_RESOURCE: return f->number == FIELD_RESOURCE_SPANS_SCOPE_SPANS;
    case OF_SCOPE: return f->number == FIELD_SCOPE_SPANS_SPANS;
    case OF_METRIC: return f->number >= FIELD_METRIC_GAUGE && f->number <= FIELD_METRIC_SUMMARY;
    default: return f->number == FIELD_GAUGE_DATA_POINTS;
  }
}

// -1: malformed.
static int64_t count_below(bytes message, enum level level, bool metrics) {
  field f;
  int more;
  int64_t total = 0;
  while ((more = next_field(&message, &f))) {
    if (more < 0) return -1;
    if (!leads_on(&f, level)) continue;
    if (level == (metrics ? OF_DATA : OF_SCOPE)) {
      total++;
      continue;
    }
    int64_t below = count_below(f.range, level + 1, metrics);
    if (below < 0) return -1;
    total += below;
  }
  return total;
}

static bool is_time(const field *f, bool metrics) {
  if (metrics) return tag_of(f) == TAG_NUMBER_DATA_POINT_TIME_UNIX_NANO;  // points of all types have it there
  return tag_of(f) == TAG_LOG_RECORD_TIME_UNIX_NANO || tag_of(f) == TAG_LOG_RECORD_OBSERVED_TIME_UNIX_NANO;
}
SAME_FIELD(TAG_NUMBER_DATA_POINT_TIME_UNIX_NANO, TAG_HISTOGRAM_DATA_POINT_TIME_UNIX_NANO);
SAME_FIELD(TAG_NUMBER_DATA_POINT_TIME_UNIX_NANO, TAG_EXPONENTIAL_HISTOGRAM_DATA_POINT_TIME_UNIX_NANO);
SAME_FIELD(TAG_NUMBER_DATA_POINT_TIME_UNIX_NANO, TAG_SUMMARY_DATA_POINT_TIME_UNIX_NANO);

// Whether an item tells when it was to less than a second. The first that does ends the search: mostly the first of all.
static bool is_dated_below(bytes message, enum level level, bool metrics) {
  const uint64_t second = 1000000000;
  field f;
  while (next_field(&message, &f) > 0) {
    if (level == (metrics ? OF_POINT : OF_METRIC)) {  // what is in an item
      if (is_time(&f, metrics) && f.value % second) return true;
    } else if (leads_on(&f, level) && is_dated_below(f.range, level + 1, metrics)) {
      return true;
    }
  }
  return false;
}

// Whether the same bytes are the same items: one has a time that is fine enough, or is a span, which has an id of its own.
EXPORT bool duoscope_is_dated(int signal, const uint8_t *request, size_t size) {
  return signal == TRACES || is_dated_below((bytes){request, request + size}, OF_REQUEST, signal == METRICS);
}

EXPORT int64_t duoscope_count(int signal, const uint8_t *request, size_t size) {
  return count_below((bytes){request, request + size}, OF_REQUEST, signal == METRICS);
}
