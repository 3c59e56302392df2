// The state of a decoder: the rows gathered so far, and where it is in the request that it reads.
#ifndef DUOSCOPE_DECODER_H
#define DUOSCOPE_DECODER_H

#include "columns/table.h"
#include "counts/field_values.h"
#include "reading.h"
#include "rows/attribute_cache.h"
#include "rows/catalogue.h"
#include "rows/metric_series.h"
#include "rows/origin.h"
#include "rows/series.h"
#include "types.h"

enum { TABLES_MAX = 8, LISTS_MAX = 4 };

struct decoder {
  enum signal signal;

  // The rows, and what later requests find of earlier ones.
  size_t table_count;
  table tables[TABLES_MAX];
  struct {
    uint64_t resource, origin, metric;  // serials of what the words below are of
    uint32_t words[ORIGIN_WORDS], metric_name, unit;
  } seen[TABLES_MAX];
  catalogue catalogue;
  field_values field_values;
  metric_series metric_series;
  attribute_cache attribute_cache;
  uint64_t batch;   // serial of what is gathered: words of another one are not this one's
  uint64_t serial;  // of resources, scopes and metrics

  // The request.
  limits limits;
  owner owner;
  outcome *outcome;
  series *series;
  joined joined;
  uint64_t nodes;  // its resources, scopes, metrics and items so far
  buffer undo;     // rows of the metric catalogue that it changed

  // Its points that reached the limit of active series, by their number among those that asked. A request that is decoded again
  // has the same ones refused, whatever series are active by then.
  uint32_t asked;
  buffer refused;
  const uint32_t *refuse, *refuse_end;
  bool out_of_memory, too_many_items;

  // The resource and scope.
  origin origin;
  ranges resource_pairs;

  // The item.
  ranges pairs, events, links;  // events: of a span, or exemplars of a point
  buffer lists[LISTS_MAX];      // numbers of a point: buckets, bounds, quantiles
  unsigned cut;                 // a bit for each verdict that says what was cut of it

  // Scratch: attributes of an event, a link or an exemplar; JSON; texts.
  ranges inner;
  buffer json, text;

  // Values of the item's attributes that go to columns of their own, and the names that have been read of it.
  struct {
    buffer values;     // of `object_value`
    buffer names;      // a hash table of `named`; those of other serials are free
    uint64_t serial;
    size_t size;       // of their texts
  } typed;

  // The attributes that were read last.
  struct {
    uint64_t schema_hash;  // of their keys and types, in any order
    size_t dropped;        // how many were left out
    uint64_t lost_hash;    // of what their JSON does not tell, in any order; 0: nothing
  } attributes;

  bool exact_doubles;  // a double in JSON is known as one where it is whole, too

  // The room for what is put into JSON: what does not fit is left out, and `is_cut` set.
  struct {
    size_t end;     // of the buffer
    bool is_cut;
    size_t cut_at;  // where it was, the first time
  } room;
};

// Counts a part of the request. False: there are too many.
static inline bool next_node(decoder *d) {
  if (d->nodes++ < d->limits.items_max) return true;
  d->too_many_items = true;
  return false;
}

static inline int add_range(decoder *d, ranges *r, bytes item, enum otlp_message kind) {
  return ranges_add(r, item, kind, d->limits.attributes_max, &d->out_of_memory);
}

#endif
