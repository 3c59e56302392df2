#include "rows/series.h"

#include <stdlib.h>

#include "columns/hash.h"
#include "columns/hash_set.h"

struct series {
  hash_set now, before;
  size_t carried;  // of `before`, how many are in `now` as well
};

series *series_open(void) { return calloc(1, sizeof(series)); }

void series_close(series *s) {
  if (!s) return;
  hash_set_clear(&s->now);
  hash_set_clear(&s->before);
  free(s);
}

void series_rotate(series *s) {
  hash_set_clear(&s->before);
  s->before = s->now;
  s->now = (hash_set){0};
  s->carried = 0;
}

uint64_t series_active(const series *s) { return s->now.count + s->before.count - s->carried; }

bool series_admit(series *s, uint64_t hash, uint64_t max) {
  hash = hash_bytes(&hash, sizeof hash, hash_secret);
  hash += !hash;
  if (hash_set_has(&s->now, hash)) return true;
  if (hash_set_has(&s->before, hash)) {
    s->carried++;
    return hash_set_add(&s->now, hash);
  }
  return series_active(s) < max && hash_set_add(&s->now, hash);
}
