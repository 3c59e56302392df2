#include "rows/metric_series.h"

#include <stdlib.h>

#include "columns/hash.h"
#include "rows/emit.h"
#include "rows/points.h"

enum { HASHES_MAX = 1 << 21 };  // of one of the two sets

#define SERIES_COLUMNS(COLUMN)                      \
  COLUMN(DATE, "date", AS_DATE)                     \
  COLUMN(NAME, "metric_name", AS_WORD)              \
  COLUMN(TYPE, "metric_type", AS_METRIC_TYPE)       \
  COLUMN(TEMPORALITY, "temporality", AS_TEMPORALITY) \
  COLUMN(MONOTONIC, "is_monotonic", AS_U8)          \
  COLUMN(UNIT, "unit", AS_WORD)                     \
  COLUMN(SERVICE, "service_name", AS_WORD)          \
  COLUMN(RESOURCE, "resource", AS_WORD)             \
  COLUMN(SCOPE, "scope_name", AS_WORD)              \
  COLUMN(ATTRIBUTES, "attributes_json", AS_TEXT)    \
  COLUMN(SERIES, "series_id", AS_U64)               \
  COLUMN(SEEN, "seen", AS_U64)                      \
  COLUMN(OWN, "own_values", AS_F64_LIST)
enum { BEFORE_SERIES_COLUMNS = OWNER_END - 1, SERIES_COLUMNS(COLUMN_ID) COLUMNS };
static const column_spec SPECS[] = {OWNER_COLUMNS(COLUMN_SPEC) SERIES_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(SPECS, COLUMNS);

bool metric_series_open(decoder *d) { return table_open(&d->tables[METRIC_SERIES], "metric_series", SPECS, COLUMNS); }

void metric_series_close(metric_series *s) {
  metric_series_forget(s);
  free(s->undo.data);
}

void metric_series_forget(metric_series *s) {
  hash_set_clear(&s->now);
  hash_set_clear(&s->before);
}

void metric_series_rotate(metric_series *s) {
  hash_set_clear(&s->before);
  s->before = s->now;
  s->now = (hash_set){0};
}

void metric_series_mark(metric_series *s) { s->undo.size = 0; }

void metric_series_revert(metric_series *s) {
  const uint64_t *added = (const uint64_t *)s->undo.data;
  for (size_t i = 0; i < s->undo.size / sizeof *added; i++) {
    hash_set_remove(&s->now, added[i]);
    hash_set_remove(&s->before, added[i]);
  }
}

static bool is_new(decoder *d, uint64_t hash) {
  metric_series *s = &d->metric_series;
  if (hash_set_has(&s->now, hash)) return false;
  if (s->now.count == HASHES_MAX) metric_series_rotate(s);
  const bool was_known = hash_set_has(&s->before, hash);
  if ((!was_known && !buffer_put(&s->undo, &hash, sizeof hash)) || !hash_set_add(&s->now, hash)) d->out_of_memory = true;
  return !was_known;
}

uint64_t hash_of_metric(const decoder *d, const metric *m) {
  const struct {
    owner owner;
    uint64_t name, unit, shape;
  } key = {
      d->owner,
      hash_bytes(m->name.at, length_of(m->name), hash_secret),
      hash_bytes(m->unit.at, length_of(m->unit), hash_secret),
      (uint64_t)m->type << 16 | (uint64_t)m->temporality << 8 | m->monotonic,
  };
  return hash_bytes(&key, sizeof key, hash_secret);
}

// The texts that the points of a scope, or of a metric, share are looked up once: they may be large, and the points many.
static uint32_t *shared_words(decoder *d, table *t, const metric *m) {
  enum { SERVICE_WORD, RESOURCE_WORD, SCOPE_WORD };
  uint32_t *words = d->seen[METRIC_SERIES].words;
  if (d->seen[METRIC_SERIES].resource != d->origin.resource_serial) {
    d->seen[METRIC_SERIES].resource = d->origin.resource_serial;
    words[SERVICE_WORD] = word(t, SERVICE, buffer_bytes(&d->origin.service));
    words[RESOURCE_WORD] = word(t, RESOURCE, buffer_bytes(&d->origin.resource));
  }
  if (d->seen[METRIC_SERIES].origin != d->origin.serial) {
    d->seen[METRIC_SERIES].origin = d->origin.serial;
    words[SCOPE_WORD] = word(t, SCOPE, d->origin.scope_name);
  }
  if (d->seen[METRIC_SERIES].metric != d->serial) {
    d->seen[METRIC_SERIES].metric = d->serial;
    d->seen[METRIC_SERIES].metric_name = word(t, NAME, m->name);
    d->seen[METRIC_SERIES].unit = word(t, UNIT, m->unit);
  }
  return words;
}

enum { HALF_HOURS_OF_A_DAY = 48 };
static uint64_t half_hours_of(const point *p) { return p->time / 1800000000000u; }

uint64_t hash_of_series(const decoder *d, const metric *m, const point *p, const buffer *own) {
  const uint64_t key[4] = {m->hash, p->series, half_hours_of(p), own ? hash_bytes(own->data, own->size, hash_secret) : 0};
  uint64_t hash = hash_bytes(key, sizeof key, hash_secret);
  hash += !hash;
  hash_set_prefetch(&d->metric_series.now, hash);
  return hash;
}

void series_item(decoder *d, uint64_t hash, const metric *m, const point *p, const table *points, uint32_t attributes,
                 const buffer *own) {
  if (!is_new(d, hash)) return;
  const uint64_t half_hours = half_hours_of(p);
  table *t = &d->tables[METRIC_SERIES];
  const uint32_t *words = shared_words(d, t, m);
  put_owner(d, t);
  put_u16(t, DATE, (uint16_t)(half_hours / HALF_HOURS_OF_A_DAY));
  put_u32(t, NAME, d->seen[METRIC_SERIES].metric_name);
  put_u8(t, TYPE, m->type);
  put_u8(t, TEMPORALITY, m->temporality);
  put_u8(t, MONOTONIC, m->monotonic);
  put_u32(t, UNIT, d->seen[METRIC_SERIES].unit);
  for (size_t i = 0; i < 3; i++) put_u32(t, SERVICE + i, words[i]);
  put_text(t, ATTRIBUTES, word_at(points, P_ATTRIBUTES, attributes));
  put_u64(t, SERIES, p->series);
  put_u64(t, SEEN, (uint64_t)1 << half_hours % HALF_HOURS_OF_A_DAY);
  if (own) {
    put(t, OWN, own->data, own->size);
    t->columns[OWN].items += own->size / 8;
  }
  end_array(t, OWN);
  t->rows++;
}
