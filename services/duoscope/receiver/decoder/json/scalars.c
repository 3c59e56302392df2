#include "json/scalars.h"

#include <math.h>

#include "json/tokens.h"
#include "json/wire_writer.h"

// --- texts

bool json_put_text(json *j, const json_field *f) {
  json_string s;
  if (!json_read_string(j, &s)) return false;
  size_t size = length_of(s.raw);
  if (!size && !f->flags) return true;
  if (!json_put_tag(j, f, LENGTH) || !json_has_room(j, VARINT_MAX + size)) return false;
  if (!s.is_escaped) {
    json_put_varint(j, size);
    j->out = json_unescape(&s, j->out);
    return true;
  }
  uint8_t *at;
  if (!json_open_length(j, &at)) return false;
  j->out = json_unescape(&s, j->out);
  return json_close_length(j, at);
}

static int base64_of(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static bool put_hex(json *j, bytes t) {
  static const char *const WHAT = "an id is hex digits, two a byte";
  if (length_of(t) % 2) return json_fail(j, WHAT);
  for (; t.at < t.end; t.at += 2) {
    int high = hex_of(t.at[0]), low = hex_of(t.at[1]);
    if (high < 0 || low < 0) return json_fail(j, WHAT);
    *j->out++ = (uint8_t)(high << 4 | low);
  }
  return true;
}

// Of either alphabet, padded or not.
static bool put_base64(json *j, bytes t) {
  static const char *const WHAT = "bytes are base64";
  if (length_of(t) % 4 == 0)
    for (int pads = 0; pads < 2 && t.at < t.end && t.end[-1] == '='; pads++) t.end--;
  if (length_of(t) % 4 == 1) return json_fail(j, WHAT);
  uint32_t bits = 0;
  unsigned count = 0;
  for (; t.at < t.end; t.at++) {
    int digit = base64_of(*t.at);
    if (digit < 0) return json_fail(j, WHAT);
    bits = bits << 6 | (uint32_t)digit;
    if ((count += 6) < 8) continue;
    count -= 8;
    *j->out++ = (uint8_t)(bits >> count);
  }
  return true;
}

bool json_put_bytes(json *j, const json_field *f) {
  const uint8_t *begin = j->text.at;
  json_string s;
  if (!json_read_string(j, &s)) return false;
  size_t size = length_of(s.raw);
  if (!size && !f->flags) return true;
  uint8_t *at;
  if (!json_put_tag(j, f, LENGTH) || !json_open_length(j, &at) || !json_has_room(j, s.is_escaped ? 2 * size : size)) return false;
  bytes digits = s.raw;
  if (s.is_escaped) {  // "\/" is one of the digits
    digits.at = j->out + size;
    digits.end = json_unescape(&s, j->out + size);
  }
  if (f->kind == J_ID ? put_hex(j, digits) : put_base64(j, digits)) return json_close_length(j, at);
  j->text.at = begin;
  return false;
}

// --- numbers

const json_number_kind JSON_NUMBER_KINDS[] = {
    [J_INT32] = {-0x1p31, 0x1p31, VARINT, 10},    [J_INT64] = {-0x1p63, 0x1p63, VARINT, 10},
    [J_UINT32] = {0, 0x1p32, VARINT, 5},          [J_UINT64] = {0, 0x1p64, VARINT, 10},
    [J_SINT32] = {-0x1p31, 0x1p31, VARINT, 5},    [J_FIXED32] = {0, 0x1p32, FIXED32, 4},
    [J_FIXED64] = {0, 0x1p64, FIXED64, 8},        [J_SFIXED64] = {-0x1p63, 0x1p63, FIXED64, 8},
    [J_DOUBLE] = {0, 0, FIXED64, 8},              [J_ENUM] = {-0x1p31, 0x1p31, VARINT, 10},
    [J_BOOL] = {0, 0, VARINT, 1},
};

// As 64 bits, those of a negative number in two's complement.
static bool as_integer(json *j, const json_field *f, const json_number *n, uint64_t *bits) {
  double low = JSON_NUMBER_KINDS[f->kind].low, high = JSON_NUMBER_KINDS[f->kind].high, value;
  if (n->is_whole && n->is_exact) {
    // The ends of the ranges are powers of two: compared with the digits themselves, which a double may not hold.
    if (n->is_negative ? n->digits > (uint64_t)-low : high < 0x1p64 && n->digits >= (uint64_t)high)
      return json_fail(j, "the number is out of range");
    *bits = n->is_negative ? 0 - n->digits : n->digits;
    return true;
  }
  if (!json_as_double(n, &value) || value < low || value >= high) return json_fail(j, "the number is out of range");
  if (value != floor(value)) return json_fail(j, "an integer belongs here");
  *bits = value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
  return true;
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, 8);
  return bits;
}

static bool is_word(bytes text, const char *word) {
  return length_of(text) == strlen(word) && !memcmp(text.at, word, length_of(text));
}

static bool as_number(json *j, const json_number *n, uint64_t *bits) {
  double value;
  if (!json_as_double(n, &value)) return json_fail(j, "the number is out of range");
  *bits = bits_of(value);
  return true;
}

// A number that is written as a string.
static bool number_in(json *j, const json_field *f, bytes text, uint64_t *bits, bool *is_nothing) {
  json_number n;
  if (json_is_number(text, &n)) return f->kind == J_DOUBLE ? as_number(j, &n, bits) : as_integer(j, f, &n, bits);
  if (f->kind == J_DOUBLE) {
    bool is_infinite = is_word(text, "Infinity") || is_word(text, "-Infinity");
    if (!is_infinite && !is_word(text, "NaN")) return json_fail(j, "a number belongs here, \"NaN\", \"Infinity\" or \"-Infinity\"");
    *bits = bits_of(!is_infinite ? (double)NAN : *text.at == '-' ? -(double)INFINITY : (double)INFINITY);
    return true;
  }
  if (f->kind != J_ENUM) return json_fail(j, "an integer belongs here");
  const json_enum *e = &JSON_ENUMS[f->of];
  for (unsigned i = 0; i < e->count; i++)
    if (is_word(text, e->names[i].name)) {
      *bits = (uint64_t)(int64_t)e->names[i].number;
      return true;
    }
  *is_nothing = true;  // a name that later versions may have
  return true;
}

bool json_read_scalar(json *j, const json_field *f, uint64_t *bits, bool *is_nothing) {
  enum { TEXT_MAX = 1023 };
  const uint8_t *begin = j->text.at;
  bool is_read;
  if (f->kind == J_BOOL) {
    *bits = json_literal(j, "true");
    return *bits || json_literal(j, "false") || json_fail(j, "true or false belongs here");
  }
  if (json_sees(j, '"')) {
    json_string s;
    uint8_t said[TEXT_MAX + 1];
    if (!json_read_string(j, &s)) return false;
    bytes text = s.raw;
    if (s.is_escaped && length_of(text) <= TEXT_MAX) text = (bytes){said, json_unescape(&s, said)};
    is_read = number_in(j, f, text, bits, is_nothing);
  } else {
    json_number n;
    bool is_number = json_sees(j, '-') || (j->text.at < j->text.end && *j->text.at >= '0' && *j->text.at <= '9');
    if (!is_number) return json_fail(j, f->kind == J_DOUBLE ? "a number belongs here" : "an integer belongs here");
    if (!json_read_number(j, &n)) return false;
    is_read = f->kind == J_DOUBLE ? as_number(j, &n, bits) : as_integer(j, f, &n, bits);
  }
  if (!is_read) j->text.at = begin;
  return is_read;
}

bool json_put_scalar(json *j, const json_field *f, uint64_t bits) {
  if (!json_has_room(j, JSON_NUMBER_KINDS[f->kind].width)) return false;
  if (JSON_NUMBER_KINDS[f->kind].wire == VARINT) {
    json_put_varint(j, f->kind == J_SINT32 ? (uint32_t)bits << 1 ^ (uint32_t)((int32_t)bits >> 31) : bits);
  } else {
    memcpy(j->out, &bits, JSON_NUMBER_KINDS[f->kind].width);
    j->out += JSON_NUMBER_KINDS[f->kind].width;
  }
  return true;
}
