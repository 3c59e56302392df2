// A set of hashes that grows, with open addressing. An empty one is all zero.
#ifndef DUOSCOPE_HASH_SET_H
#define DUOSCOPE_HASH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint64_t *slots;  // 0 is free, and no hash
  size_t mask, count;
} hash_set;

// Fetches what `hash_set_has` will look at: sets outgrow the cache.
static inline void hash_set_prefetch(const hash_set *s, uint64_t hash) {
  if (s->slots) __builtin_prefetch(&s->slots[hash & s->mask]);
}
bool hash_set_has(const hash_set *s, uint64_t hash);
// Adds one that is not there. False: no memory.
bool hash_set_add(hash_set *s, uint64_t hash);
void hash_set_remove(hash_set *s, uint64_t hash);  // if it is there
void hash_set_clear(hash_set *s);

#endif
