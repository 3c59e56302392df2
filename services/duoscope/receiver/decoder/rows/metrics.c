// Metrics: from a metric's message to its points (number_points.c, distributions.c), and the catalogue of metrics there are.
#include "columns/hash.h"
#include "decoder.h"
#include "rows/emit.h"
#include "rows/exemplars.h"
#include "rows/points.h"
#include "rows/signals.h"
#include "values/utf8.h"

// The fields of the oneof `data`.
enum {
  GAUGE = FIELD_METRIC_GAUGE,
  SUM = FIELD_METRIC_SUM,
  HISTOGRAM = FIELD_METRIC_HISTOGRAM,
  EXPONENTIAL = FIELD_METRIC_EXPONENTIAL_HISTOGRAM,
  SUMMARY = FIELD_METRIC_SUMMARY,
};

#define SEEN_COLUMNS(COLUMN)                                                                                           \
  COLUMN(NAME, "metric_name", AS_TEXT)                                                                                 \
  COLUMN(SERVICE, "service_name", AS_WORD)                                                                             \
  COLUMN(TYPE, "metric_type", AS_METRIC_TYPE)                                                                          \
  COLUMN(TEMPORALITY, "temporality", AS_TEMPORALITY)                                                                   \
  COLUMN(MONOTONIC, "is_monotonic", AS_U8)                                                                             \
  COLUMN(UNIT, "unit", AS_WORD)                                                                                        \
  COLUMN(DESCRIPTION, "description", AS_TEXT)                                                                          \
  COLUMN(FIRST, "first_seen", AS_TIME)                                                                                 \
  COLUMN(LAST, "last_seen", AS_TIME)
enum { BEFORE_SEEN_COLUMNS = OWNER_END - 1, SEEN_COLUMNS(COLUMN_ID) COLUMNS };
static const column_spec METRICS_SEEN[] = {OWNER_COLUMNS(COLUMN_SPEC) SEEN_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(METRICS_SEEN, COLUMNS);

// All types of data have their points in one field, and their temporality, where they have one.
enum {
  TAG_POINTS = TAG_GAUGE_DATA_POINTS,
  FIELD_POINTS = FIELD_GAUGE_DATA_POINTS,
  TAG_TEMPORALITY = TAG_SUM_AGGREGATION_TEMPORALITY,
};
SAME_FIELD(TAG_POINTS, TAG_SUM_DATA_POINTS);
SAME_FIELD(TAG_POINTS, TAG_HISTOGRAM_DATA_POINTS);
SAME_FIELD(TAG_POINTS, TAG_EXPONENTIAL_HISTOGRAM_DATA_POINTS);
SAME_FIELD(TAG_POINTS, TAG_SUMMARY_DATA_POINTS);
SAME_FIELD(TAG_TEMPORALITY, TAG_HISTOGRAM_AGGREGATION_TEMPORALITY);
SAME_FIELD(TAG_TEMPORALITY, TAG_EXPONENTIAL_HISTOGRAM_AGGREGATION_TEMPORALITY);

// The metric's fields, and of the oneof `data` the one that came last, joined where it came in pieces.
static int read_heading(decoder *d, bytes message, metric *head, uint32_t *kind, bytes *data) {
  field f;
  bytes m = message, run = message;
  unsigned pieces = 0;
  *head = (metric){.name = no_bytes(), .unit = no_bytes(), .description = no_bytes(), .first = UINT64_MAX};
  *kind = 0;
  for (;;) {
    bytes before = m;
    int more = next_field(&m, &f);
    if (more < 0) return MALFORMED;
    if (!more) break;
    switch (tag_of(&f)) {
      case TAG_REFUSED: head->is_refused = true; break;
      case TAG_METRIC_METADATA:  // nothing of it is kept
        if (!is_message(f.range, MESSAGE_KEY_VALUE)) return MALFORMED;
        break;
      case TAG_METRIC_NAME: head->name = f.range; break;
      case TAG_METRIC_DESCRIPTION: head->description = f.range; break;
      case TAG_METRIC_UNIT: head->unit = f.range; break;
      case TAG_METRIC_GAUGE: case TAG_METRIC_SUM: case TAG_METRIC_HISTOGRAM: case TAG_METRIC_EXPONENTIAL_HISTOGRAM:
      case TAG_METRIC_SUMMARY:
        if (f.number != *kind) {
          if (pieces && !is_message((bytes){run.at, before.at}, MESSAGE_METRIC)) return MALFORMED;
          pieces = 0;
          run = (bytes){before.at, message.end};
        }
        pieces++;
        *kind = f.number;
        *data = f.range;
        break;
      default: break;
    }
  }
  return pieces > 1 && !join(&d->joined, run, *kind, held_by(MESSAGE_METRIC, *kind), data) ? MALFORMED : OK;
}

static bool is_data(const field *f) {
  switch (tag_of(f)) {
    case TAG_METRIC_GAUGE: case TAG_METRIC_SUM: case TAG_METRIC_HISTOGRAM: case TAG_METRIC_EXPONENTIAL_HISTOGRAM:
    case TAG_METRIC_SUMMARY:
      return true;
    default:
      return false;
  }
}

static int count_points(bytes message, uint64_t *count) {
  field f, g;
  int more, inner;
  uint32_t kind = 0;
  *count = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (!is_data(&f)) continue;
    if (f.number != kind) *count = 0;  // of a oneof the last one counts
    kind = f.number;
    for (bytes n = f.range; (inner = next_field(&n, &g));) {
      if (inner < 0) return MALFORMED;
      *count += tag_of(&g) == TAG_POINTS;
    }
  }
  return OK;
}

// A row a metric and service, now and then: one that is in the batch already takes the times in, and `duoscope_forget` says
// when they are due again.
static void put_seen(decoder *d, const metric *m) {
  table *t = &d->tables[METRIC_CATALOGUE];
  buffer *key = &d->text;
  if (d->seen[METRIC_CATALOGUE].resource != d->origin.resource_serial) {
    d->seen[METRIC_CATALOGUE].resource = d->origin.resource_serial;
    d->seen[METRIC_CATALOGUE].words[0] = word(t, SERVICE, buffer_bytes(&d->origin.service));
  }
  const uint64_t service = d->origin.service_hash;
  const uint8_t kind[3] = {m->type, m->temporality, m->monotonic};
  key->size = 0;
  if (!buffer_put(key, &d->owner, sizeof d->owner) || !buffer_put(key, kind, 3) || !buffer_put(key, &service, 8) ||
      !buffer_put(key, m->name.at, length_of(m->name)) || !buffer_put_byte(key, 0xff) ||
      !buffer_put(key, m->unit.at, length_of(m->unit)) || !buffer_put_byte(key, 0xff) ||
      !buffer_put(key, m->description.at, length_of(m->description)))
    d->out_of_memory = true;
  // The dictionary of a text column, which has no other use, tells rows that are there from new ones.
  uint64_t found = word(t, NAME, buffer_bytes(key));
  if (found < t->old_words) return;  // an earlier batch has it, not long ago
  uint64_t row = t->first_found + found - t->old_words;
  uint64_t *firsts = (uint64_t *)t->columns[FIRST].data.data, *lasts = (uint64_t *)t->columns[LAST].data.data;
  if (row < t->rows) {
    const uint64_t was[3] = {row, firsts[row], lasts[row]};
    if (row < t->mark_rows && !buffer_put(&d->undo, was, sizeof was)) d->out_of_memory = true;
    if (m->first < firsts[row]) firsts[row] = m->first;
    if (m->last > lasts[row]) lasts[row] = m->last;
    return;
  }
  put_owner(d, t);
  put_text(t, NAME, m->name);
  put_u32(t, SERVICE, d->seen[METRIC_CATALOGUE].words[0]);
  put_u8(t, TYPE, m->type);
  put_u8(t, TEMPORALITY, m->temporality);
  put_u8(t, MONOTONIC, m->monotonic);
  put_word(t, UNIT, m->unit);
  put_text(t, DESCRIPTION, m->description);
  put_u64(t, FIRST, m->first);
  put_u64(t, LAST, m->last);
  t->rows++;
}

typedef int (*point_reader)(decoder *d, metric *m, bytes point);

// By the field of the oneof: how its points are read, and how the tables number the type.
static const struct {
  point_reader read;
  uint8_t type;
} READERS[] = {
    [GAUGE] = {read_number, 1},
    [SUM] = {read_number, 2},
    [HISTOGRAM] = {read_histogram, 3},
    [SUMMARY] = {read_summary, 4},
    [EXPONENTIAL] = {read_exponential, 5},
};

static int read_metric(decoder *d, bytes message) {
  metric head;
  uint32_t kind;
  bytes data = no_bytes();
  field f;
  int more;
  if (read_heading(d, message, &head, &kind, &data) == MALFORMED) return MALFORMED;
  if (!kind) return OK;
  head.name_hash = hash_bytes(head.name.at, length_of(head.name), 0);
  for (bytes m = data; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (tag_of(&f) == TAG_TEMPORALITY && kind != GAUGE && kind != SUMMARY) head.temporality = (uint32_t)f.value <= AGGREGATION_TEMPORALITY_CUMULATIVE ? (uint8_t)f.value : 0;
    if (tag_of(&f) == TAG_SUM_IS_MONOTONIC && kind == SUM) head.monotonic = f.value != 0;
  }
  bool readable = is_utf8(head.name) && is_utf8(head.unit) && is_utf8(head.description);
  head.type = READERS[kind].type;
  head.hash = hash_of_metric(d, &head);
  d->serial++;
  const enum otlp_message point = held_by(held_by(MESSAGE_METRIC, kind), FIELD_POINTS);
  const chunk *until = d->joined.last;
  for (bytes m = data; next_field(&m, &f) > 0;) {
    if (tag_of(&f) != TAG_POINTS) continue;
    d->outcome->items++;
    d->cut = 0;
    if (!next_node(d)) return MALFORMED;
    if (!readable || head.is_refused) {
      if (!is_message(f.range, point)) return MALFORMED;
      reject(d, head.is_refused ? INVALID_JSON_VALUE : INVALID_UTF8);
    } else if (READERS[kind].read(d, &head, f.range) == MALFORMED) {
      return MALFORMED;
    }
    drop_joined(&d->joined, until);
  }
  if (head.first <= head.last) put_seen(d, &head);
  return OK;
}

bool metrics_open(decoder *d) {
  d->table_count = METRIC_TABLES;
  return numbers_open(d) && distributions_open(d) && exemplars_open(d) &&
         table_open(&d->tables[METRIC_CATALOGUE], "metric_catalogue", METRICS_SEEN, COLUMNS) && metric_series_open(d);
}

void metrics_forget(decoder *d) { table_forget(&d->tables[METRIC_CATALOGUE]); }

void metrics_revert(decoder *d) {
  table *t = &d->tables[METRIC_CATALOGUE];
  const uint64_t *was = (const uint64_t *)d->undo.data;
  for (size_t i = d->undo.size / 24; i--;) {
    ((uint64_t *)t->columns[FIRST].data.data)[was[3 * i]] = was[3 * i + 1];
    ((uint64_t *)t->columns[LAST].data.data)[was[3 * i]] = was[3 * i + 2];
  }
}

int metrics_read(decoder *d, bytes request) { return read_request(d, request, read_metric, count_points, MESSAGE_METRIC); }
