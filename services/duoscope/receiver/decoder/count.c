// How many items a request holds, for admission: no item is looked into, and nothing is kept.
#include "decoder.h"

enum { DATA_FIRST = 5, DATA_LAST = 11 };  // of a metric: the fields of its oneof, each with its points in field 1

// Items below fields 1 of a request, 2 of a resource, 2 of a scope, and of metrics the points of each metric. -1: malformed.
static int64_t count_below(bytes message, unsigned level, bool metrics) {
  field f;
  int more;
  int64_t total = 0;
  while ((more = next_field(&message, &f))) {
    if (more < 0) return -1;
    if (f.type != LENGTH) continue;
    if (level == 3 ? f.number < DATA_FIRST || f.number > DATA_LAST : f.number != (level == 0 || level == 4 ? 1 : 2)) continue;
    if (level == 4 || (level == 2 && !metrics)) {
      total++;
      continue;
    }
    int64_t below = count_below(f.range, level + 1, metrics);
    if (below < 0) return -1;
    total += below;
  }
  return total;
}

// Whether an item tells when it was to less than a second. The first that does ends the search: mostly the first of all.
static bool is_dated_below(bytes message, unsigned level, bool metrics) {
  const uint64_t second = 1000000000;
  field f;
  while (next_field(&message, &f) > 0) {
    const bool is_item = level == (metrics ? 5u : 3u);
    if (is_item) {
      const bool is_time = metrics ? f.number == 3 : f.number == 1 || f.number == 11;  // of a log record: or when it was observed
      if (f.type == FIXED64 && is_time && f.value % second) return true;
      continue;
    }
    if (f.type != LENGTH) continue;
    if (level == 3 ? f.number < DATA_FIRST || f.number > DATA_LAST : f.number != (level == 0 || level == 4 ? 1 : 2)) continue;
    if (is_dated_below(f.range, level + 1, metrics)) return true;
  }
  return false;
}

// Whether the same bytes are the same items: one has a time that is fine enough, or is a span, which has an id of its own.
__attribute__((visibility("default"))) bool duoscope_is_dated(int signal, const uint8_t *request, size_t size) {
  return signal == TRACES || is_dated_below((bytes){request, request + size}, 0, signal == METRICS);
}

__attribute__((visibility("default"))) int64_t duoscope_count(int signal, const uint8_t *request, size_t size) {
  return count_below((bytes){request, request + size}, 0, signal == METRICS);
}
