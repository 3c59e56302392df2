#include "reading.h"

#include <stdlib.h>

#include "columns/hash.h"

int ranges_add(ranges *r, bytes item, enum otlp_message kind, uint32_t max, bool *out_of_memory) {
  if (r->count >= max) {
    r->more++;
    r->lost_hash += hash_bytes(item.at, length_of(item), 0);
    return is_message(item, kind) ? OK : MALFORMED;
  }
  if (r->count == r->capacity) {
    size_t capacity = r->capacity ? r->capacity * 2 : 32;
    bytes *items = realloc(r->items, capacity * sizeof(bytes));
    if (!items) {
      *out_of_memory = true;
      return MALFORMED;
    }
    r->items = items;
    r->capacity = capacity;
  }
  r->items[r->count++] = item;
  return OK;
}

struct chunk {
  chunk *before;
  size_t size;
  uint8_t data[];
};

void drop_joined(joined *j, const chunk *until) {
  while (j->last != until) {
    chunk *before = j->last->before;
    j->size -= j->last->size;
    free(j->last);
    j->last = before;
  }
}

bool join(joined *j, bytes message, uint32_t number, enum otlp_message kind, bytes *whole) {
  const uint32_t tag = number << 3 | LENGTH;
  size_t size = 0;
  field f;
  for (bytes m = message; next_field(&m, &f) > 0;) {
    if (tag_of(&f) != tag) continue;
    if (!is_message(f.range, kind)) return false;  // two halves of a field are no field
    size += length_of(f.range);
  }
  if (size > j->max - j->size) return false;
  chunk *c = malloc(sizeof(chunk) + size);
  if (!c) {
    j->out_of_memory = true;
    return false;
  }
  c->before = j->last;
  c->size = size;
  j->last = c;
  j->size += size;
  uint8_t *to = c->data;
  for (bytes m = message; next_field(&m, &f) > 0;)
    if (tag_of(&f) == tag && length_of(f.range)) {
      memcpy(to, f.range.at, length_of(f.range));
      to += length_of(f.range);
    }
  *whole = (bytes){c->data, c->data + size};
  return true;
}
