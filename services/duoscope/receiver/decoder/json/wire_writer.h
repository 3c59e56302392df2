// Writes the wire format: tags, and lengths that are not known before what they are of.
#ifndef DUOSCOPE_WIRE_WRITER_H
#define DUOSCOPE_WIRE_WRITER_H

#include "json/json.h"

enum { TAG_MAX = 5, VARINT_MAX = 10 };

static inline bool json_has_room(json *j, size_t size) {
  if ((size_t)(j->out_end - j->out) >= size) return true;
  j->is_full = true;
  return json_fail(j, "it takes too much room");
}

static inline void json_put_varint(json *j, uint64_t value) {
  for (; value > 0x7f; value >>= 7) *j->out++ = (uint8_t)value | 0x80;
  *j->out++ = (uint8_t)value;
}

static inline bool json_put_tag(json *j, const json_field *f, enum wire_type type) {
  if (!json_has_room(j, TAG_MAX)) return false;
  json_put_varint(j, (uint64_t)f->number << 3 | type);
  return true;
}

// A length is known when what it is of is there. It gets a byte, and what needs more is moved then: as often as messages
// are nested at worst, and by far most are short.
static inline bool json_open_length(json *j, uint8_t **at) {
  if (!json_has_room(j, 1)) return false;
  *at = j->out++;
  return true;
}

static inline bool json_close_length(json *j, uint8_t *at) {
  size_t size = (size_t)(j->out - at) - 1, more = 0;
  for (uint64_t rest = size; rest > 0x7f; rest >>= 7) more++;
  if (more) {
    if (!json_has_room(j, more)) return false;
    memmove(at + 1 + more, at + 1, size);
  }
  j->out = at;
  json_put_varint(j, size);
  j->out += size;
  return true;
}

#endif
