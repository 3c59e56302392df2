// The protobuf wire format: fields of a message, one after the other, with every length checked.
//
// A message is a range of bytes. `next_field` walks it; what a field holds is a number or a range within the message.
// Nothing is copied, except that a singular message which comes twice is joined as protobuf wants it: see `join`.
#ifndef DUOSCOPE_WIRE_H
#define DUOSCOPE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  const uint8_t *at, *end;
} bytes;

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, GROUP = 3, GROUP_END = 4, FIXED32 = 5 };

typedef struct {
  uint32_t number;
  uint8_t type;
  uint64_t value;  // of VARINT, FIXED64 and FIXED32
  bytes range;     // of LENGTH
} field;

enum { GROUPS_MAX = 100 };

// A field of messages that were made of JSON: it says that the message holds less than its text did, because a member of it,
// or of a message in it, was none that OTLP has. Protobuf gives no field a number from 19,000 to 19,999.
enum { FIELD_REFUSED = 19999, TAG_REFUSED = FIELD_REFUSED << 3 | VARINT };

// A field's number and wire type in one, as it is written: what otlp_fields.h has a name for.
static inline uint32_t tag_of(const field *f) { return f->number << 3 | f->type; }

// Of messages that are read by one name of a field: that it is the other's, too.
#define SAME_FIELD(one, other) _Static_assert((int)(one) == (int)(other), #one " and " #other " are different fields")

// A text of no bytes that is there all the same: its ends may be compared and handed to memcpy.
static inline bytes no_bytes(void) {
  static const uint8_t none;
  return (bytes){&none, &none};
}

static inline size_t length_of(bytes b) { return (size_t)(b.end - b.at); }

// At most `size_max` bytes: 10 for a value, whose bits beyond the 64th are dropped, 5 for a tag or a length.
static inline bool read_varint_of(bytes *m, uint64_t *out, unsigned size_max) {
  if (m->at < m->end && *m->at < 0x80) {
    *out = *m->at++;
    return true;
  }
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 7 * size_max; shift += 7) {
    if (m->at == m->end) return false;
    uint8_t byte = *m->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *out = value;
      return true;
    }
  }
  return false;
}

static inline bool read_varint(bytes *m, uint64_t *out) { return read_varint_of(m, out, 10); }

static inline bool read_tag(bytes *m, field *f) {
  uint64_t tag;
  if (!read_varint_of(m, &tag, 5) || tag > UINT32_MAX) return false;
  f->number = (uint32_t)tag >> 3;
  f->type = tag & 7;
  return true;
}

static inline uint64_t load64(const uint8_t *p) {
  uint64_t value;
  memcpy(&value, p, 8);
  return value;
}

static inline double as_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, 8);
  return value;
}

// What follows a tag. False: the message is malformed.
static inline bool read_content(bytes *m, field *f, int groups) {
  switch (f->type) {
    case VARINT:
      return read_varint(m, &f->value);
    case FIXED64:
      if (m->end - m->at < 8) return false;
      f->value = load64(m->at);
      m->at += 8;
      return true;
    case FIXED32: {
      uint32_t value;
      if (m->end - m->at < 4) return false;
      memcpy(&value, m->at, 4);
      f->value = value;
      m->at += 4;
      return true;
    }
    case LENGTH: {
      uint64_t size;
      if (!read_varint_of(m, &size, 5) || size > INT32_MAX || size > length_of(*m)) return false;
      f->range = (bytes){m->at, m->at + size};
      m->at += size;
      return true;
    }
    case GROUP: {  // only in fields nobody knows: skipped up to its end
      if (groups >= GROUPS_MAX) return false;
      for (;;) {
        field inner;
        if (!read_tag(m, &inner)) return false;
        if (inner.type == GROUP_END) return inner.number == f->number;
        if (!read_content(m, &inner, groups + 1)) return false;
      }
    }
    default:
      return false;
  }
}

// The next field of a message: 1, or 0 at its end, or -1 where it is malformed.
static inline int next_field(bytes *m, field *f) {
  if (m->at == m->end) return 0;
  // Most fields: a tag of one byte, a length of one byte.
  if (m->end - m->at >= 2 && (m->at[0] & 0x87) == LENGTH && m->at[0] > 7 && m->at[1] < 0x80 && m->at[1] <= m->end - m->at - 2) {
    f->number = m->at[0] >> 3;
    f->type = LENGTH;
    f->range = (bytes){m->at + 2, m->at + 2 + m->at[1]};
    m->at = f->range.end;
    return 1;
  }
  return read_tag(m, f) && f->number && read_content(m, f, 0) ? 1 : -1;
}

// Of eight bytes at once: the high bit of those that are below `n`, or are `c`; certain of the lowest one that is set.
#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u
#define BELOW(v, n) (((v) - ONES * (n)) & ~(v) & HIGHS)
#define HAS(v, c) BELOW((v) ^ (ONES * (c)), 1)

#endif
