#include "json/tokens.h"

#include <math.h>
#include <stdlib.h>

#include "values/numbers.h"

// Four hex digits, or -1.
static int32_t unit_at(bytes t) {
  int32_t unit = 0;
  if (length_of(t) < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int digit = hex_of(t.at[i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

static bool is_high(int32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
static bool is_low(int32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

// What follows a backslash.
static bool read_escape(json *j) {
  bytes *t = &j->text;
  if (t->at == t->end) return json_fail(j, "the text ends within a string");
  switch (*t->at++) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
      return true;
    case 'u': {
      if (unit_at(*t) < 0) return json_fail(j, "\\u is followed by four hex digits");
      t->at += 4;
      return true;
    }
    default:
      return json_fail(j, "there is no such escape in a string");
  }
}

bool json_read_string(json *j, json_string *s) {
  bytes *t = &j->text;
  if (!json_next(j, '"')) return json_fail(j, "a string belongs here");
  s->raw.at = t->at;
  s->is_escaped = false;
  for (;;) {
    while (length_of(*t) >= 8) {
      uint64_t v = load64(t->at), special = BELOW(v, 0x20) | HAS(v, '"') | HAS(v, '\\');
      if (special) {
        t->at += __builtin_ctzll(special) / 8;
        break;
      }
      t->at += 8;
    }
    if (t->at == t->end) return json_fail(j, "the text ends within a string");
    uint8_t c = *t->at++;
    if (c == '"') break;
    if (c < 0x20) {
      t->at--;
      return json_fail(j, "a control character in a string must be escaped");
    }
    if (c == '\\') {
      s->is_escaped = true;
      if (!read_escape(j)) return false;
    }
  }
  s->raw.end = t->at - 1;
  return true;
}

static uint8_t *put_character(uint32_t c, uint8_t *to) {
  if (c < 0x80) {
    *to++ = (uint8_t)c;
  } else if (c < 0x800) {
    *to++ = (uint8_t)(0xc0 | c >> 6);
    *to++ = (uint8_t)(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *to++ = (uint8_t)(0xe0 | c >> 12);
    *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    *to++ = (uint8_t)(0x80 | (c & 63));
  } else {
    *to++ = (uint8_t)(0xf0 | c >> 18);
    *to++ = (uint8_t)(0x80 | (c >> 12 & 63));
    *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    *to++ = (uint8_t)(0x80 | (c & 63));
  }
  return to;
}

uint8_t *json_unescape(const json_string *s, uint8_t *to) {
  bytes t = s->raw;
  while (t.at < t.end) {
    const uint8_t *slash = s->is_escaped ? memchr(t.at, '\\', length_of(t)) : NULL;
    size_t plain = (size_t)((slash ? slash : t.end) - t.at);
    memcpy(to, t.at, plain);
    to += plain;
    t.at += plain;
    if (!slash) break;
    uint8_t c = t.at[1];
    t.at += 2;
    if (c != 'u') {
      *to++ = c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
      continue;
    }
    uint32_t unit = (uint32_t)unit_at(t);
    t.at += 4;
    bytes second = {t.at + 2, t.end};
    if (is_high((int32_t)unit) && length_of(t) >= 6 && t.at[0] == '\\' && t.at[1] == 'u' && is_low(unit_at(second))) {
      unit = 0x10000 + ((unit - 0xd800) << 10) + ((uint32_t)unit_at(second) - 0xdc00);
      t.at += 6;
    }
    to = put_character(unit, to);
  }
  return to;
}

static bool is_digit(const bytes *t) { return t->at < t->end && *t->at >= '0' && *t->at <= '9'; }

// Takes a digit, as long as all of them fit. Of those that do not, is_exact tells.
static void take_digit(json_number *n, uint8_t digit) {
  uint64_t tens;
  if (!n->is_exact || __builtin_mul_overflow(n->digits, 10u, &tens) || __builtin_add_overflow(tens, digit, &tens))
    n->is_exact = false;
  else
    n->digits = tens;
}

// The number that `t` begins with; afterwards what follows it. False: there is none.
static bool take_number(bytes *t, json_number *n) {
  enum { EXPONENT_MAX = 100000 };  // far beyond any double, and as good as all that is larger
  *n = (json_number){.token = *t, .is_whole = true, .is_exact = true};
  if (t->at < t->end && *t->at == '-') {
    n->is_negative = true;
    t->at++;
  }
  if (!is_digit(t)) return false;
  if (*t->at == '0')
    t->at++;
  else
    for (; is_digit(t); t->at++) take_digit(n, *t->at - '0');
  if (t->at < t->end && *t->at == '.') {
    t->at++;
    n->is_whole = false;
    if (!is_digit(t)) return false;
    for (; is_digit(t); t->at++) {
      take_digit(n, *t->at - '0');
      n->exponent--;
    }
  }
  if (t->at < t->end && (*t->at | 32) == 'e') {
    t->at++;
    n->is_whole = false;
    bool is_negative = t->at < t->end && *t->at == '-';
    if (t->at < t->end && (*t->at == '-' || *t->at == '+')) t->at++;
    if (!is_digit(t)) return false;
    int64_t exponent = 0;
    for (; is_digit(t); t->at++)
      if (exponent < EXPONENT_MAX) exponent = exponent * 10 + (*t->at - '0');
    n->exponent += is_negative ? -exponent : exponent;
  }
  n->token.end = t->at;
  return true;
}

bool json_read_number(json *j, json_number *n) { return take_number(&j->text, n) || json_fail(j, "this is no value of JSON"); }

bool json_is_number(bytes text, json_number *n) { return take_number(&text, n) && text.at == text.end; }

bool json_as_double(const json_number *n, double *value) {
  if (!n->is_exact || !exact_double(n->digits, n->exponent, value)) {
    bytes mantissa = n->token;
    if (length_of(mantissa) > DIGITS_MAX) return false;
    for (const uint8_t *at = mantissa.at; at < mantissa.end; at++)
      if ((*at | 32) == 'e') mantissa.end = at;
    *value = nearest_double((const char *)mantissa.at, length_of(mantissa), n->exponent);
  }
  if (n->is_negative) *value = -*value;
  return isfinite(*value);
}

// --- values that nobody wants, however deep they nest

static bool is_object(const json *j, size_t depth) { return j->open[(depth - 1) / 8] >> (depth - 1) % 8 & 1; }

// Notes that a container opens as the `depth`th.
static bool open_container(json *j, size_t depth, bool object) {
  size_t place = (depth - 1) / 8;
  uint8_t bit = (uint8_t)(1 << (depth - 1) % 8);
  if (place >= j->open_size) {
    size_t size = j->open_size ? 2 * j->open_size : 64;
    uint8_t *open = realloc(j->open, size);
    if (!open) {
      j->out_of_memory = j->is_broken = true;
      return json_fail(j, "there is no memory");
    }
    j->open = open;
    j->open_size = size;
  }
  j->open[place] = object ? j->open[place] | bit : j->open[place] & (uint8_t)~bit;
  return true;
}

static bool skip_name(json *j) {
  json_string name;
  json_space(j);
  if (!json_read_string(j, &name)) return false;
  json_space(j);
  return json_next(j, ':') || json_fail(j, "a colon belongs here");
}

static bool skip_plain(json *j) {
  json_string ignored;
  json_number number;
  if (json_sees(j, '"')) return json_read_string(j, &ignored);
  if (json_literal(j, "true") || json_literal(j, "false") || json_literal(j, "null")) return true;
  return json_read_number(j, &number);
}

bool json_skip(json *j) {
  size_t depth = 0;
  for (;;) {
    bool is_open = false;
    json_space(j);
    if (json_sees(j, '{') || json_sees(j, '[')) {
      bool object = *j->text.at++ == '{';
      if (!open_container(j, ++depth, object)) return false;
      json_space(j);
      is_open = !json_sees(j, object ? '}' : ']');
      if (is_open && object && !skip_name(j)) return false;
    } else if (!skip_plain(j)) {
      return false;
    }
    for (; depth && !is_open; json_space(j)) {
      bool object = is_object(j, depth);
      json_space(j);
      if (json_next(j, object ? '}' : ']')) {
        depth--;
        continue;
      }
      if (!json_next(j, ',')) return json_fail(j, object ? "a comma or } belongs here" : "a comma or ] belongs here");
      is_open = true;
      if (object && !skip_name(j)) return false;
    }
    if (!depth) return true;
  }
}
