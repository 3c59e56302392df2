// What the decoder and Python agree on, and what becomes of an item.
#ifndef DUOSCOPE_TYPES_H
#define DUOSCOPE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct decoder decoder;  // decoder.h

enum signal { TRACES = 0, LOGS = 1, METRICS = 2 };

// What becomes of an item. The reasons after OK are in the order of `REASONS` in __init__.py. The four CUTs reject nothing: the
// item is stored without a part, or with one cut short, and counted.
enum verdict {
  MALFORMED = -1,
  OK = 0,
  INVALID_ID,
  TIME_OUT_OF_RANGE,
  TIME_MISSING,
  NO_VALUE,
  INVALID_HISTOGRAM,
  LIST_CUT,
  ATTRIBUTE_CUT,
  BODY_CUT,
  INVALID_UTF8,
  NESTING_CUT,
  TOO_MANY_SERIES,
  INVALID_JSON_VALUE,
  VERDICTS
};

// The worse of two verdicts: a malformed message is malformed whatever else is wrong with it.
static inline int worse_of(int a, int b) { return a == MALFORMED || b == OK ? a : b == MALFORMED || a == OK ? b : a; }

// The structures from here on are also in __init__.py, which compares their sizes when it loads the library.
typedef struct {
  uint64_t earliest, latest;  // of an item's time, in nanoseconds since 1970
  uint64_t now;               // for log records without a time
  uint64_t series_max;        // active series of the tenant; 0 for no limit
  uint32_t attributes_max;    // of one list
  uint32_t attribute_bytes_max, body_bytes_max;
  uint32_t depth_max;
  uint64_t items_max;  // items, scopes and resources of a request: one of many empty ones would fill the memory
} limits;

typedef struct {
  uint8_t organization_id[16], workspace_id[16], tenant_id[16];  // as ClickHouse keeps a UUID
  uint64_t retention_days;
} owner;

typedef struct {
  uint64_t items;   // in the request
  uint64_t stored;  // rows made of them; a point without a recorded value makes none
  uint64_t rejected[VERDICTS];
} outcome;

#endif
