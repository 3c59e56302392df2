#include "wire/messages.h"

enum { DEPTH_MAX = 100 };

#define HELD(message, number, holds) [message][number] = holds,
static const uint8_t HELD_BY[OTLP_MESSAGES][OTLP_HOLDERS_END] = {OTLP_HOLDS(HELD)};
_Static_assert(OTLP_MESSAGES <= UINT8_MAX, "a message's number does not fit");

enum otlp_message held_by(enum otlp_message kind, uint32_t field_number) {
  return field_number < OTLP_HOLDERS_END ? (enum otlp_message)HELD_BY[kind][field_number] : HOLDS_NOTHING;
}

static bool is_sound(bytes message, enum otlp_message kind, unsigned depth) {
  field f;
  int more;
  uint64_t ignored;
  if (depth > DEPTH_MAX) return true;  // far deeper than what is stored: no reason to lose other items
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return false;
    if (f.type != LENGTH) continue;
    const enum otlp_message held = held_by(kind, f.number);
    switch (held) {
      case HOLDS_NOTHING: break;
      case HOLDS_FIXED64S:
        if (length_of(f.range) % 8) return false;
        break;
      case HOLDS_VARINTS:
        while (f.range.at < f.range.end)
          if (!read_varint(&f.range, &ignored)) return false;
        break;
      default:
        if (!is_sound(f.range, held, depth + 1)) return false;
    }
  }
  return true;
}

bool is_message(bytes message, enum otlp_message kind) { return is_sound(message, kind, 0); }
