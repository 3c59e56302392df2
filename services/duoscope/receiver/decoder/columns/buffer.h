// Bytes that grow at their end.
#ifndef DUOSCOPE_BUFFER_H
#define DUOSCOPE_BUFFER_H

#include "wire/wire.h"

typedef struct {
  uint8_t *data;
  size_t size, capacity;
} buffer;

// Room for `more` bytes. False when there is no memory; what was there stays.
bool buffer_grow(buffer *b, size_t more);

static inline bool buffer_room(buffer *b, size_t more) {
  return b->capacity - b->size >= more || buffer_grow(b, more);
}

static inline bool buffer_put(buffer *b, const void *data, size_t size) {
  if (!buffer_room(b, size)) return false;
  if (size) memcpy(b->data + b->size, data, size);
  b->size += size;
  return true;
}

static inline bool buffer_put_byte(buffer *b, uint8_t byte) { return buffer_put(b, &byte, 1); }

// An empty buffer gives back what an unusually large request made of it.
void buffer_trim(buffer *b);

bool buffer_put_varint(buffer *b, uint64_t value);

static inline bytes buffer_bytes(const buffer *b) { return (bytes){b->data, b->data + b->size}; }

#endif
