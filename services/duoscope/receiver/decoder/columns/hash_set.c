#include "columns/hash_set.h"

#include <stdlib.h>

bool hash_set_has(const hash_set *s, uint64_t hash) {
  if (!s->slots) return false;
  for (size_t i = hash & s->mask; s->slots[i]; i = (i + 1) & s->mask)
    if (s->slots[i] == hash) return true;
  return false;
}

bool hash_set_add(hash_set *s, uint64_t hash) {
  if (!s->slots || s->count * 2 > s->mask) {
    size_t size = s->slots ? (s->mask + 1) * 2 : 1024;
    uint64_t *slots = calloc(size, sizeof(uint64_t));
    if (!slots) return false;
    for (size_t i = 0; s->slots && i <= s->mask; i++) {
      if (!s->slots[i]) continue;
      size_t j = s->slots[i] & (size - 1);
      while (slots[j]) j = (j + 1) & (size - 1);
      slots[j] = s->slots[i];
    }
    free(s->slots);
    s->slots = slots;
    s->mask = size - 1;
  }
  size_t i = hash & s->mask;
  while (s->slots[i]) i = (i + 1) & s->mask;
  s->slots[i] = hash;
  s->count++;
  return true;
}

void hash_set_remove(hash_set *s, uint64_t hash) {
  if (!s->slots) return;
  size_t free_slot = hash & s->mask;
  for (; s->slots[free_slot] != hash; free_slot = (free_slot + 1) & s->mask)
    if (!s->slots[free_slot]) return;
  s->count--;
  // What would no longer be found from where it begins to be looked for moves into the gap.
  for (size_t i = (free_slot + 1) & s->mask; s->slots[i]; i = (i + 1) & s->mask) {
    size_t from_home = (i - s->slots[i]) & s->mask, from_gap = (i - free_slot) & s->mask;
    if (from_home < from_gap) continue;
    s->slots[free_slot] = s->slots[i];
    free_slot = i;
  }
  s->slots[free_slot] = 0;
}

void hash_set_clear(hash_set *s) {
  free(s->slots);
  *s = (hash_set){0};
}
