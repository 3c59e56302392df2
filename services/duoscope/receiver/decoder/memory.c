// Attributes of number points that came before: a series sends the same bytes at every export, and turning them into JSON
// is most of what a point costs. Bounded: when it is full it starts anew. The bytes themselves are compared, since a
// hash that anyone can compute must not show one tenant another's attributes.
#include <stdlib.h>

#include "decoder.h"

enum { SLOTS = 1 << 17, ENTRIES_MAX = SLOTS / 2, BYTES_MAX = 32 << 20, RAW_MAX = 1 << 14 };

static remembered *entry_at(const decoder *d, uint32_t slot) { return (remembered *)d->memory.entries.data + slot - 1; }

remembered *recall(decoder *d, bytes raw) {
  const memory *m = &d->memory;
  size_t size = length_of(raw);
  if (!m->slots || size > RAW_MAX) return NULL;
  uint64_t hash = hash_bytes(raw.at, size, hash_secret);
  for (size_t s = hash & (SLOTS - 1); m->slots[s]; s = (s + 1) & (SLOTS - 1)) {
    remembered *r = entry_at(d, m->slots[s]);
    if (r->hash == hash && r->raw_size == size && !memcmp(m->bytes.data + r->raw, raw.at, size) &&
        r->attributes_max == d->limits.attributes_max && r->attribute_bytes_max == d->limits.attribute_bytes_max &&
        r->depth_max == d->limits.depth_max)
      return r;
  }
  return NULL;
}

static void forget(memory *m) {
  m->bytes.size = m->entries.size = 0;
  memset(m->slots, 0, SLOTS * sizeof(uint32_t));
}

remembered *remember(decoder *d, bytes raw) {
  memory *m = &d->memory;
  size_t size = length_of(raw);
  if (size > RAW_MAX || (!m->slots && !(m->slots = calloc(SLOTS, sizeof(uint32_t))))) return NULL;
  if (m->entries.size / sizeof(remembered) == ENTRIES_MAX || m->bytes.size + size + d->json.size > BYTES_MAX) forget(m);
  remembered r = {
      .hash = hash_bytes(raw.at, size, hash_secret),
      .json_hash = hash_bytes(d->json.data, d->json.size, 0),
      .shape = d->shape,
      .raw = m->bytes.size,
      .raw_size = size,
      .json = m->bytes.size + size,
      .json_size = d->json.size,
      .attributes_max = d->limits.attributes_max,
      .attribute_bytes_max = d->limits.attribute_bytes_max,
      .depth_max = d->limits.depth_max,
  };
  if (!buffer_put(&m->bytes, raw.at, size) || !buffer_put(&m->bytes, d->json.data, d->json.size) ||
      !buffer_put(&m->entries, &r, sizeof r))
    return NULL;
  size_t s = r.hash & (SLOTS - 1);
  while (m->slots[s]) s = (s + 1) & (SLOTS - 1);
  m->slots[s] = (uint32_t)(m->entries.size / sizeof(remembered));
  return entry_at(d, m->slots[s]);
}

bytes remembered_json(const decoder *d, const remembered *r) {
  const uint8_t *json = d->memory.bytes.data + r->json;
  return (bytes){json, json + r->json_size};
}

void memory_close(memory *m) {
  free(m->bytes.data);
  free(m->entries.data);
  free(m->slots);
}
