// Texts: whether they are UTF-8, and where they may be cut.
#ifndef DUOSCOPE_UTF8_H
#define DUOSCOPE_UTF8_H

#include "wire/wire.h"

bool is_utf8(bytes text);

// A prefix of a text of at most `size` bytes that ends where a character does.
static inline bytes prefix_of(bytes text, size_t size) {
  if (length_of(text) <= size) return text;
  const uint8_t *end = text.at + size;
  while (end > text.at && (*end & 0xc0) == 0x80) end--;
  return (bytes){text.at, end};
}

#endif
