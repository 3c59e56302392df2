#include "rows/attribute_cache.h"

#include <stdlib.h>

#include "columns/hash.h"

enum { SLOTS = 1 << 17, ENTRIES_MAX = SLOTS / 2, BYTES_MAX = 32 << 20, RAW_MAX = 1 << 14 };

uint32_t attribute_cache_find(const attribute_cache *c, bytes raw, const limits *l) {
  const size_t size = length_of(raw);
  if (!c->slots || size > RAW_MAX) return NOT_CACHED;
  const uint64_t hash = hash_bytes(raw.at, size, hash_secret);
  for (size_t s = hash & (SLOTS - 1); c->slots[s]; s = (s + 1) & (SLOTS - 1)) {
    const cached_attributes *e = attribute_cache_at(c, c->slots[s] - 1);
    if (e->hash == hash && e->raw_size == size && !memcmp(c->bytes.data + e->raw, raw.at, size) &&
        e->attributes_max == l->attributes_max && e->attribute_bytes_max == l->attribute_bytes_max &&
        e->depth_max == l->depth_max)
      return c->slots[s] - 1;
  }
  return NOT_CACHED;
}

static void forget_all(attribute_cache *c) {
  c->bytes.size = c->entries.size = 0;
  memset(c->slots, 0, SLOTS * sizeof(uint32_t));
}

uint32_t attribute_cache_add(attribute_cache *c, bytes raw, const limits *l, bytes json, uint64_t schema_hash) {
  const size_t size = length_of(raw), json_size = length_of(json);
  if (size > RAW_MAX || (!c->slots && !(c->slots = calloc(SLOTS, sizeof(uint32_t))))) return NOT_CACHED;
  if (c->entries.size / sizeof(cached_attributes) == ENTRIES_MAX || c->bytes.size + size + json_size > BYTES_MAX)
    forget_all(c);
  const cached_attributes e = {
      .hash = hash_bytes(raw.at, size, hash_secret),
      .json_hash = hash_bytes(json.at, json_size, 0),
      .schema_hash = schema_hash,
      .raw = c->bytes.size,
      .raw_size = size,
      .json = c->bytes.size + size,
      .json_size = json_size,
      .attributes_max = l->attributes_max,
      .attribute_bytes_max = l->attribute_bytes_max,
      .depth_max = l->depth_max,
  };
  if (!buffer_put(&c->bytes, raw.at, size) || !buffer_put(&c->bytes, json.at, json_size) ||
      !buffer_put(&c->entries, &e, sizeof e))
    return NOT_CACHED;
  size_t s = e.hash & (SLOTS - 1);
  while (c->slots[s]) s = (s + 1) & (SLOTS - 1);
  c->slots[s] = (uint32_t)(c->entries.size / sizeof(cached_attributes));
  return c->slots[s] - 1;
}

void attribute_cache_close(attribute_cache *c) {
  free(c->bytes.data);
  free(c->entries.data);
  free(c->slots);
}
