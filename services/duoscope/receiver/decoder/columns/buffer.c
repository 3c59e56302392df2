#include "columns/buffer.h"

#include <stdlib.h>

bool buffer_grow(buffer *b, size_t more) {
  if (more > SIZE_MAX / 2 - b->size) return false;
  size_t capacity = b->capacity + b->capacity / 2 + 256;
  if (capacity < b->size + more) capacity = b->size + more;
  uint8_t *data = realloc(b->data, capacity);
  if (!data) return false;
  b->data = data;
  b->capacity = capacity;
  return true;
}

// What a usual batch needs is kept for the next one: memory that is new costs a page fault every 4 KiB.
void buffer_trim(buffer *b) {
  enum { KEPT = 1 << 24 };
  if (b->capacity <= KEPT) return;
  free(b->data);
  *b = (buffer){0};
}

bool buffer_put_varint(buffer *b, uint64_t value) {
  if (!buffer_room(b, 10)) return false;
  while (value > 0x7f) {
    b->data[b->size++] = (uint8_t)value | 0x80;
    value >>= 7;
  }
  b->data[b->size++] = (uint8_t)value;
  return true;
}
