#include "rows/series.h"

#include <stdlib.h>

#include "columns/hash.h"

typedef struct {
  uint64_t *slots;  // 0 is free
  size_t mask, count;
} set;

struct series {
  set now, before;
  size_t carried;  // of `before`, how many are in `now` as well
};

series *series_open(void) { return calloc(1, sizeof(series)); }

void series_close(series *s) {
  if (!s) return;
  free(s->now.slots);
  free(s->before.slots);
  free(s);
}

void series_rotate(series *s) {
  free(s->before.slots);
  s->before = s->now;
  s->now = (set){0};
  s->carried = 0;
}

uint64_t series_active(const series *s) { return s->now.count + s->before.count - s->carried; }

static bool set_has(const set *s, uint64_t hash) {
  if (!s->slots) return false;
  for (size_t i = hash & s->mask; s->slots[i]; i = (i + 1) & s->mask)
    if (s->slots[i] == hash) return true;
  return false;
}

static bool set_add(set *s, uint64_t hash) {
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

bool series_admit(series *s, uint64_t hash, uint64_t max) {
  hash = hash_bytes(&hash, sizeof hash, hash_secret);
  hash += !hash;
  if (set_has(&s->now, hash)) return true;
  if (set_has(&s->before, hash)) {
    s->carried++;
    return set_add(&s->now, hash);
  }
  return series_active(s) < max && set_add(&s->now, hash);
}
