// Helps to make rows of items.
#ifndef DUOSCOPE_EMIT_H
#define DUOSCOPE_EMIT_H

#include "decoder.h"

#define UNSET ((uint64_t)INT64_MIN)  // a time kept as a distance that is not there

enum { TRACE_ID_SIZE = 16, SPAN_ID_SIZE = 8 };

static const uint8_t NO_ID[TRACE_ID_SIZE] = {0};

static inline const uint8_t *id_or_none(bytes id, size_t size) { return length_of(id) == size ? id.at : NO_ID; }

static inline uint64_t as_time(uint64_t nanos) { return nanos > INT64_MAX ? INT64_MAX : nanos; }

// How many were dropped of a list, with those that its sender dropped.
static inline uint32_t dropped_of(uint64_t told, size_t more) {
  uint64_t all = (uint32_t)told + (uint64_t)more;
  return all > UINT32_MAX ? UINT32_MAX : (uint32_t)all;
}

static inline int reject(decoder *d, int verdict) {
  d->outcome->rejected[verdict]++;
  return OK;
}

// Counts an item whose row is complete, and what was cut of it.
static inline void count_stored(decoder *d, table *t) {
  unsigned cut = d->cut | d->origin.resource_cut | d->origin.scope_cut;
  for (int verdict = 0; cut; verdict++, cut >>= 1) d->outcome->rejected[verdict] += cut & 1;
  d->outcome->stored++;
  t->rows++;
}

static inline void put_owner(decoder *d, table *t) {
  put(t, C_ORGANIZATION, d->owner.organization_id, 16);
  put(t, C_WORKSPACE, d->owner.workspace_id, 16);
  put(t, C_TENANT, d->owner.tenant_id, 16);
  put_u16(t, C_RETENTION, (uint16_t)d->owner.retention_days);
}

#endif
