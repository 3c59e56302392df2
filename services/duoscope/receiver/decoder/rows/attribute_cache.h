// What attributes of number points became, by the bytes they came in: a series sends the same bytes at every export, and
// turning them into JSON is most of what a point costs. Bounded: when it is full it starts anew. The bytes themselves are
// compared, since a hash that anyone can compute must not show one tenant another's attributes.
//
// An entry is known by its number, which is valid until the next one is added: the memory that entries are in moves.
#ifndef DUOSCOPE_ATTRIBUTE_CACHE_H
#define DUOSCOPE_ATTRIBUTE_CACHE_H

#include "columns/buffer.h"
#include "types.h"

typedef struct {
  uint64_t hash, json_hash, schema_hash;
  size_t raw, raw_size, json, json_size;  // where they are in `bytes`
  uint64_t batch;                         // the batch in which `word` is the JSON's index
  uint32_t word;
  uint32_t attributes_max, attribute_bytes_max, depth_max;  // the limits they were judged by
} cached_attributes;

typedef struct {
  buffer bytes, entries;
  uint32_t *slots;  // number of an entry plus one; 0 is free
} attribute_cache;

#define NOT_CACHED UINT32_MAX

// The number of the entry, or NOT_CACHED.
uint32_t attribute_cache_find(const attribute_cache *c, bytes raw, const limits *l);
// Notes that `raw` becomes `json`. NOT_CACHED: it cannot be.
uint32_t attribute_cache_add(attribute_cache *c, bytes raw, const limits *l, bytes json, uint64_t schema_hash);
void attribute_cache_close(attribute_cache *c);

static inline cached_attributes *attribute_cache_at(const attribute_cache *c, uint32_t number) {
  return (cached_attributes *)c->entries.data + number;
}

static inline bytes attribute_cache_json(const attribute_cache *c, uint32_t number) {
  const cached_attributes *entry = attribute_cache_at(c, number);
  const uint8_t *json = c->bytes.data + entry->json;
  return (bytes){json, json + entry->json_size};
}

#endif
