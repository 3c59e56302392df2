// The native half of the decoder: OTLP requests in, columns in ClickHouse's Native format out. decoder/__init__.py is the
// other half and documents what the numbers mean.
#ifndef DUOSCOPE_DECODER_H
#define DUOSCOPE_DECODER_H

#include "columns.h"

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

typedef struct {
  bytes *items;
  size_t count, capacity;
  size_t more;    // that were left out: there were as many as there may be
  uint64_t lost;  // a hash of those, in any order
} ranges;

enum { TABLES_MAX = 7 };

// What the items of a scope share. The texts are words of each table, looked up when a table meets a new origin.
typedef struct {
  buffer resource, scope_attributes, service;  // JSON, JSON, text
  bytes resource_url, scope_name, scope_version, scope_url;
  uint32_t resource_dropped, scope_dropped;
  uint64_t resource_hash, scope_hash, service_hash;
  unsigned resource_cut, scope_cut;  // see `cut` of the decoder
  uint64_t resource_shape;  // see `shape` of the decoder
  uint64_t resource_serial, serial;
} origin;

enum { ORIGIN_WORDS = 7 };

// What a message is, for `is_message`.
enum shape {
  A_NOTHING, A_PACKED64, A_PACKED_VARINTS, A_VALUE, A_VALUES, A_PAIRS, A_PAIR, A_RESOURCE,
  A_SCOPE, A_SPAN, A_EVENT, A_LINK, A_RECORD, A_METRIC, A_NUMBERS_OF, A_HISTOGRAMS_OF,
  A_EXPONENTIALS_OF, A_SUMMARIES_OF, A_NUMBER, A_EXEMPLAR, A_HISTOGRAM_POINT, A_EXPONENTIAL_POINT, A_BUCKETS, A_SUMMARY_POINT,
  A_LEAF,
  SHAPES
};
// What the attributes of a number point became, by the bytes they came in. See memory.c.
typedef struct {
  uint64_t hash, json_hash, shape;
  size_t raw, raw_size, json, json_size;  // where they are in `bytes`
  uint64_t batch;                         // the batch in which `word` is the JSON's index
  uint32_t word;
  uint32_t attributes_max, attribute_bytes_max, depth_max;  // the limits they were judged by
} remembered;

typedef struct {
  buffer bytes, entries;
  uint32_t *slots;  // index of an entry plus one; 0 is free
} memory;

// What catalogue.c has put into its table.
typedef struct {
  uint64_t *slots;  // hashes; 0 is free
  size_t table, count;
  buffer undo;      // slots that this request took
  bool was_emptied;  // by this request
  uint64_t resource, date, base;  // serial of a resource, day of an item, and the hash of all that both stand for
  size_t rows_left;
} catalogue;

typedef struct chunk {
  struct chunk *next;
  size_t size;
  uint8_t data[];
} chunk;

typedef struct series series;

typedef struct {
  enum signal signal;
  size_t table_count;
  table tables[TABLES_MAX];
  struct {
    uint64_t resource, origin, metric;  // serials of what the words below are of
    uint32_t words[ORIGIN_WORDS], metric_name, unit;
  } seen[TABLES_MAX];
  origin origin;
  limits limits;
  owner owner;
  outcome *outcome;
  series *series;
  buffer json, text;                  // scratch
  ranges pairs, inner, events, links;  // scratch; events: of a span, or exemplars of a point
  ranges resource_pairs;
  buffer lists[4];                     // numbers of a point: buckets, bounds, quantiles
  chunk *joined;  // memory of `join`
  size_t joined_size, joined_max;
  memory memory;
  catalogue catalogue;
  uint64_t shape;          // of the attributes read last: a hash of their keys and types, in any order
  uint64_t serial, batch;
  uint64_t nodes;          // resources, scopes, metrics and items of the request so far
  size_t text_end;         // of the buffer that JSON is put into: what does not fit is left out, and `is_cut` set
  bool is_cut;
  size_t cut_at;           // where it was, the first time
  unsigned cut;            // of an item: a bit for each verdict that says what was cut of it
  size_t dropped;          // of the attributes read last, those left out
  uint64_t lost;           // of these, a hash of what their JSON does not tell, in any order; 0: nothing
  buffer undo;             // of catalogue rows that this request changed
  bool out_of_memory, too_many_items;
} decoder;

// --- values.c
// Keeps an entry of a list, as long as there are few enough; the others only have to be sound, and are counted. OK or
// MALFORMED.
static inline void ranges_clear(ranges *r) {
  r->count = 0;
  r->more = r->lost = 0;
}
int ranges_add(decoder *d, ranges *r, bytes item, enum shape shape);
// A singular message of field `number` that came more than once: protobuf merges such, which is to parse them end to end.
bool join(decoder *d, bytes message, uint32_t number, enum shape shape, bytes *joined);
void drop_joined(decoder *d, const chunk *until);
int read_pair(decoder *d, bytes message, bytes *key, bytes *value);
bool is_utf8(bytes text);
int attributes_json(decoder *d, ranges *pairs, bool sorted, buffer *out);
int body_text(decoder *d, bytes value, size_t size_max, buffer *out, uint8_t *kind);
uint8_t value_kind(decoder *d, bytes value);

// --- shape.c
bool is_message(bytes message, enum shape shape);

// --- origin.c
typedef int (*item_reader)(decoder *d, bytes item);
typedef int (*item_counter)(bytes item, uint64_t *count);
int read_request(decoder *d, bytes request, item_reader read, item_counter count, enum shape item);
// Counts a part of the request. False: there are too many.
static inline bool next_node(decoder *d) {
  if (d->nodes++ < d->limits.items_max) return true;
  d->too_many_items = true;
  return false;
}
void put_origin(decoder *d, size_t t);
static inline bool has_byte(bytes id, size_t size) {
  if (length_of(id) != size) return false;
  for (const uint8_t *p = id.at; p < id.end; p++)
    if (*p) return true;
  return false;
}
static const uint8_t NO_ID[16] = {0};
static inline const uint8_t *id_or_none(bytes id, size_t size) { return length_of(id) == size ? id.at : NO_ID; }
#define UNSET ((uint64_t)INT64_MIN)  // a time kept as a distance that is not there
static inline uint64_t as_time(uint64_t nanos) { return nanos > INT64_MAX ? INT64_MAX : nanos; }
// Whether a field says that the message held something which OTLP does not have there.
static inline bool is_refused(const field *f) { return IS(*f, REFUSED, VARINT); }
// Counts an item that is stored, by what was cut of it.
static inline void count_cuts(decoder *d) {
  unsigned cut = d->cut | d->origin.resource_cut | d->origin.scope_cut;
  for (int verdict = 0; cut; verdict++, cut >>= 1) d->outcome->rejected[verdict] += cut & 1;
}
// How many were dropped of a list, with those that its sender dropped.
static inline uint32_t dropped_of(uint64_t told, size_t more) {
  uint64_t all = (uint32_t)told + (uint64_t)more;
  return all > UINT32_MAX ? UINT32_MAX : (uint32_t)all;
}
static inline int reject(decoder *d, int verdict) {
  d->outcome->rejected[verdict]++;
  return OK;
}

// --- catalogue.c
bool catalogue_open(decoder *d);
void catalogue_close(catalogue *c);
void catalogue_forget(catalogue *c);
void catalogue_mark(catalogue *c);
void catalogue_revert(catalogue *c);
// Puts there what is new of a stored item: `shape` is that of its attributes, which are d->pairs.
void catalogue_item(decoder *d, uint64_t time, uint64_t shape, const bytes *operation);

// --- traces.c, logs.c, metrics.c
bool traces_open(decoder *d);
bool logs_open(decoder *d);
bool metrics_open(decoder *d);
int traces_read(decoder *d, bytes request);
int logs_read(decoder *d, bytes request);
int metrics_read(decoder *d, bytes request);
void metrics_revert(decoder *d);
void metrics_forget(decoder *d);

// --- memory.c
remembered *recall(decoder *d, bytes raw);
remembered *remember(decoder *d, bytes raw);  // that the JSON in d->json is what `raw` becomes; NULL: cannot
bytes remembered_json(const decoder *d, const remembered *r);
void memory_close(memory *m);

// --- points.c
typedef struct {
  bytes name, unit, description;
  uint8_t type, temporality, monotonic;  // as the tables number them
  uint64_t first, last;                  // times of its stored points
  uint64_t name_hash;
  bool is_refused;
} metric;
bool points_open(decoder *d);
int read_number(decoder *d, metric *m, bytes point);
int read_histogram(decoder *d, metric *m, bytes point);
int read_exponential(decoder *d, metric *m, bytes point);
int read_summary(decoder *d, metric *m, bytes point);

// --- series.c: which series of a tenant are active
series *series_open(void);
void series_close(series *s);
void series_rotate(series *s);  // forget what was not seen since the last time
uint64_t series_active(const series *s);
bool series_admit(series *s, uint64_t hash, uint64_t max);

// Columns every stored row has.
#define OWNER_COLUMNS                                                                                                \
  {"organization_id", "UUID", FIXED, 16, 0}, {"workspace_id", "UUID", FIXED, 16, 0},                                  \
      {"tenant_id", "UUID", FIXED, 16, 0}, {"retention_days", "UInt16", FIXED, 2, 0}
#define DICT(name) {name, "LowCardinality(String)", DICTIONARY, 4, 0}
#define ORIGIN_COLUMNS                                                                                               \
  OWNER_COLUMNS, DICT("service_name"), DICT("resource"), DICT("scope_name"), DICT("scope_version"),                   \
      DICT("scope_attributes"), DICT("resource_schema_url"), DICT("scope_schema_url")
#define FULL_ORIGIN_COLUMNS                                                                                          \
  ORIGIN_COLUMNS,                                                                                                     \
      {"resource_dropped_attributes_count", "UInt32", FIXED, 4, 0},                                                   \
      {"scope_dropped_attributes_count", "UInt32", FIXED, 4, 0}
enum {
  C_ORGANIZATION, C_WORKSPACE, C_TENANT, C_RETENTION, C_SERVICE, C_RESOURCE, C_SCOPE_NAME, C_SCOPE_VERSION,
  C_SCOPE_ATTRIBUTES, C_RESOURCE_URL, C_SCOPE_URL, ORIGIN_END,
  C_RESOURCE_DROPPED = ORIGIN_END, C_SCOPE_DROPPED, FULL_ORIGIN_END
};
#define TIME_TYPE "DateTime64(9, 'UTC')"

#endif
