// What reading a message needs beside its fields: lists of those that repeat, and memory for those that come in pieces.
#ifndef DUOSCOPE_READING_H
#define DUOSCOPE_READING_H

#include "types.h"
#include "wire/messages.h"

// Entries of a repeated field, by where they are.
typedef struct {
  bytes *items;
  size_t count, capacity;
  size_t more;         // that were left out: there were as many as there may be
  uint64_t lost_hash;  // of those, in any order
} ranges;

static inline void ranges_clear(ranges *r) {
  r->count = 0;
  r->more = r->lost_hash = 0;
}
// Keeps an entry, as long as there are fewer than `max`; the others only have to be sound, and are counted. OK or MALFORMED.
int ranges_add(ranges *r, bytes item, enum otlp_message kind, uint32_t max, bool *out_of_memory);

// Messages that were joined, in the order of their making.
typedef struct chunk chunk;
typedef struct {
  chunk *last;
  size_t size, max;
  bool out_of_memory;
} joined;

// A singular message of field `number` that came more than once: protobuf merges such, which is to parse them end to end.
// False: it is none, or there is no memory for it.
bool join(joined *j, bytes message, uint32_t number, enum otlp_message kind, bytes *whole);
// Frees what was joined since `until` was the last; NULL: all.
void drop_joined(joined *j, const chunk *until);

#endif
