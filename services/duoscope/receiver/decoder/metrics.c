// Metrics: from a metric's message to its points (points.c), and the catalogue of metrics there are.
#include <stdlib.h>

#include "decoder.h"

enum { GAUGE = 5, SUM = 7, HISTOGRAM = 9, EXPONENTIAL = 10, SUMMARY = 11 };  // fields of the oneof `data`
enum { CATALOGUE = 5 };                                                      // the table; points.c has those before it

enum { NAME = C_RETENTION + 1, SERVICE, TYPE, TEMPORALITY, MONOTONIC, UNIT, DESCRIPTION, FIRST, LAST, COLUMNS };

static const column_spec METRICS_SEEN[COLUMNS] = {
    OWNER_COLUMNS,
    {"metric_name", "String", TEXT, 0, 0},
    DICT("service_name"),
    {"metric_type",
     "Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5)", FIXED, 1, 0},
    {"temporality", "Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)", FIXED, 1, 0},
    {"is_monotonic", "UInt8", FIXED, 1, 0},
    DICT("unit"),
    {"description", "String", TEXT, 0, 0},
    {"first_seen", TIME_TYPE, FIXED, 8, 0},
    {"last_seen", TIME_TYPE, FIXED, 8, 0},
};

static const uint8_t nothing;
static const enum shape SHAPE_OF[] = {
    [GAUGE] = A_NUMBERS_OF, [SUM] = A_NUMBERS_OF, [HISTOGRAM] = A_HISTOGRAMS_OF, [EXPONENTIAL] = A_EXPONENTIALS_OF,
    [SUMMARY] = A_SUMMARIES_OF};
static const enum shape POINT_OF[] = {
    [GAUGE] = A_NUMBER, [SUM] = A_NUMBER, [HISTOGRAM] = A_HISTOGRAM_POINT, [EXPONENTIAL] = A_EXPONENTIAL_POINT,
    [SUMMARY] = A_SUMMARY_POINT};
#define EMPTY (bytes){&nothing, &nothing}

// The metric's fields, and of the oneof `data` the one that came last, joined where it came in pieces.
static int read_heading(decoder *d, bytes message, metric *head, uint32_t *kind, bytes *data) {
  field f;
  bytes m = message, run = message;
  unsigned pieces = 0;
  *head = (metric){.name = EMPTY, .unit = EMPTY, .description = EMPTY, .first = UINT64_MAX};
  *kind = 0;
  for (;;) {
    bytes before = m;
    int more = next_field(&m, &f);
    if (more < 0) return MALFORMED;
    if (!more) break;
    if (is_refused(&f)) head->is_refused = true;
    if (f.type != LENGTH) continue;
    switch (f.number) {
      case 12:  // metadata: nothing of it is kept
        if (!is_message(f.range, A_PAIR)) return MALFORMED;
        break;
      case 1: head->name = f.range; break;
      case 2: head->description = f.range; break;
      case 3: head->unit = f.range; break;
      case GAUGE: case SUM: case HISTOGRAM: case EXPONENTIAL: case SUMMARY:
        if (f.number != *kind) {
          if (pieces && !is_message((bytes){run.at, before.at}, A_METRIC)) return MALFORMED;
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
  return pieces > 1 && !join(d, run, *kind, SHAPE_OF[*kind], data) ? MALFORMED : OK;
}

static int count_points(bytes message, uint64_t *count) {
  field f, g;
  int more, inner;
  uint32_t kind = 0;
  *count = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (f.type != LENGTH || f.number > SUMMARY || !SHAPE_OF[f.number]) continue;
    if (f.number != kind) *count = 0;  // of a oneof the last one counts
    kind = f.number;
    for (bytes n = f.range; (inner = next_field(&n, &g));) {
      if (inner < 0) return MALFORMED;
      *count += IS(g, 1, LENGTH);
    }
  }
  return OK;
}

// A row a metric and service, now and then: one that is in the batch already takes the times in, and `duoscope_forget` says
// when they are due again.
static void put_seen(decoder *d, const metric *m) {
  table *t = &d->tables[CATALOGUE];
  buffer *key = &d->text;
  if (d->seen[CATALOGUE].resource != d->origin.resource_serial) {
    d->seen[CATALOGUE].resource = d->origin.resource_serial;
    d->seen[CATALOGUE].words[0] = word(t, SERVICE, buffer_bytes(&d->origin.service));
  }
  const uint64_t service = d->origin.service_hash;
  const uint8_t shape[3] = {m->type, m->temporality, m->monotonic};
  key->size = 0;
  if (!buffer_put(key, &d->owner, sizeof d->owner) || !buffer_put(key, shape, 3) || !buffer_put(key, &service, 8) ||
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
  put(t, C_ORGANIZATION, d->owner.organization_id, 16);
  put(t, C_WORKSPACE, d->owner.workspace_id, 16);
  put(t, C_TENANT, d->owner.tenant_id, 16);
  put_u16(t, C_RETENTION, (uint16_t)d->owner.retention_days);
  put_text(t, NAME, m->name);
  put_u32(t, SERVICE, d->seen[CATALOGUE].words[0]);
  put_u8(t, TYPE, m->type);
  put_u8(t, TEMPORALITY, m->temporality);
  put_u8(t, MONOTONIC, m->monotonic);
  put_word(t, UNIT, m->unit);
  put_text(t, DESCRIPTION, m->description);
  put_u64(t, FIRST, m->first);
  put_u64(t, LAST, m->last);
  t->rows++;
}

static int read_metric(decoder *d, bytes message) {
  typedef int (*point_reader)(decoder *, metric *, bytes);
  metric head;
  uint32_t kind;
  bytes data = EMPTY;
  field f;
  int more;
  if (read_heading(d, message, &head, &kind, &data) == MALFORMED) return MALFORMED;
  if (!kind) return OK;
  head.name_hash = hash_bytes(head.name.at, length_of(head.name), 0);
  for (bytes m = data; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (IS(f, 2, VARINT) && kind != GAUGE && kind != SUMMARY) head.temporality = (uint32_t)f.value <= 2 ? (uint8_t)f.value : 0;
    if (IS(f, 3, VARINT) && kind == SUM) head.monotonic = f.value != 0;
  }
  bool readable = is_utf8(head.name) && is_utf8(head.unit) && is_utf8(head.description);
  point_reader read = kind == HISTOGRAM ? read_histogram : kind == EXPONENTIAL ? read_exponential : kind == SUMMARY ? read_summary : read_number;
  head.type = kind == GAUGE ? 1 : kind == SUM ? 2 : kind == HISTOGRAM ? 3 : kind == SUMMARY ? 4 : 5;
  d->serial++;
  const chunk *joined = d->joined;
  for (bytes m = data; next_field(&m, &f) > 0;) {
    if (!IS(f, 1, LENGTH)) continue;
    d->outcome->items++;
    d->cut = 0;
    if (!next_node(d)) return MALFORMED;
    if (!readable || head.is_refused) {
      if (!is_message(f.range, POINT_OF[kind])) return MALFORMED;
      reject(d, head.is_refused ? INVALID_JSON_VALUE : INVALID_UTF8);
    } else if (read(d, &head, f.range) == MALFORMED) {
      return MALFORMED;
    }
    drop_joined(d, joined);
  }
  if (head.first <= head.last) put_seen(d, &head);
  return OK;
}

bool metrics_open(decoder *d) {
  d->table_count = CATALOGUE + 1;
  return points_open(d) && table_open(&d->tables[CATALOGUE], "metric_catalogue", METRICS_SEEN, COLUMNS);
}

void metrics_forget(decoder *d) { table_forget(&d->tables[CATALOGUE]); }

// Takes back what a request did to rows that were there before it.
void metrics_revert(decoder *d) {
  table *t = &d->tables[CATALOGUE];
  const uint64_t *was = (const uint64_t *)d->undo.data;
  for (size_t i = d->undo.size / 24; i--;) {
    ((uint64_t *)t->columns[FIRST].data.data)[was[3 * i]] = was[3 * i + 1];
    ((uint64_t *)t->columns[LAST].data.data)[was[3 * i]] = was[3 * i + 2];
  }
}

int metrics_read(decoder *d, bytes request) { return read_request(d, request, read_metric, count_points, A_METRIC); }
