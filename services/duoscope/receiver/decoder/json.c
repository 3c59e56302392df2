// Walks an OTLP/JSON text by the table of fields and writes the same message in the wire format.
//
// It is ProtoJSON with the differences that OTLP makes: ids are hex in any case, enums are numbers (names are taken too),
// fields nobody knows are passed over. A field that is given twice, in whatever spelling, is a fault: which one counts
// would be anyone's guess. tests/decoder/test_json.py holds it against google.protobuf and lists where it is stricter.
//
// A fault costs what it costs in protobuf, and never the whole request unless the text is no JSON: the member is passed
// over, and the nearest message around it that the decoder judges says REFUSED. What should have held items and does not
// becomes one refused item, so that it is counted. Texts are copied whatever they are, ids that are none are left out:
// the decoder judges both.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

enum { TAG_MAX = 5, VARINT_MAX = 10 };

static bool has_room(json *j, size_t size) {
  if ((size_t)(j->out_end - j->out) >= size) return true;
  j->is_full = true;
  return json_fail(j, "it takes too much room");
}

static void put_varint(json *j, uint64_t value) {
  for (; value > 0x7f; value >>= 7) *j->out++ = (uint8_t)value | 0x80;
  *j->out++ = (uint8_t)value;
}

static bool put_tag(json *j, const json_field *f, enum wire_type type) {
  if (!has_room(j, TAG_MAX)) return false;
  put_varint(j, (uint64_t)f->number << 3 | type);
  return true;
}

// A length is known when what it is of is there. It gets a byte, and what needs more is moved then: as often as messages
// are nested at worst, and by far most are short.
static bool open_length(json *j, uint8_t **at) {
  if (!has_room(j, 1)) return false;
  *at = j->out++;
  return true;
}

static bool close_length(json *j, uint8_t *at) {
  size_t size = (size_t)(j->out - at) - 1, more = 0;
  for (uint64_t rest = size; rest > 0x7f; rest >>= 7) more++;
  if (more) {
    if (!has_room(j, more)) return false;
    memmove(at + 1 + more, at + 1, size);
  }
  j->out = at;
  put_varint(j, size);
  j->out += size;
  return true;
}

// --- texts

static bool put_text(json *j, const json_field *f) {
  json_string s;
  if (!json_read_string(j, &s)) return false;
  size_t size = length_of(s.raw);
  if (!size && !f->flags) return true;
  if (!put_tag(j, f, LENGTH) || !has_room(j, VARINT_MAX + size)) return false;
  if (!s.is_escaped) {
    put_varint(j, size);
    j->out = json_unescape(&s, j->out);
    return true;
  }
  uint8_t *at;
  if (!open_length(j, &at)) return false;
  j->out = json_unescape(&s, j->out);
  return close_length(j, at);
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

// Bytes that are written as text: hex digits or base64, which is more than they are.
static bool put_bytes(json *j, const json_field *f) {
  const uint8_t *begin = j->text.at;
  json_string s;
  if (!json_read_string(j, &s)) return false;
  size_t size = length_of(s.raw);
  if (!size && !f->flags) return true;
  uint8_t *at;
  if (!put_tag(j, f, LENGTH) || !open_length(j, &at) || !has_room(j, s.is_escaped ? 2 * size : size)) return false;
  bytes digits = s.raw;
  if (s.is_escaped) {  // "\/" is one of the digits
    digits.at = j->out + size;
    digits.end = json_unescape(&s, j->out + size);
  }
  if (f->kind == J_ID ? put_hex(j, digits) : put_base64(j, digits)) return close_length(j, at);
  j->text.at = begin;
  return false;
}

// --- numbers

static const struct {
  double low, high;  // the first that does not fit at the upper end
  uint8_t wire, width;
} KINDS[] = {
    [J_INT32] = {-0x1p31, 0x1p31, VARINT, 10},    [J_INT64] = {-0x1p63, 0x1p63, VARINT, 10},
    [J_UINT32] = {0, 0x1p32, VARINT, 5},          [J_UINT64] = {0, 0x1p64, VARINT, 10},
    [J_SINT32] = {-0x1p31, 0x1p31, VARINT, 5},    [J_FIXED32] = {0, 0x1p32, FIXED32, 4},
    [J_FIXED64] = {0, 0x1p64, FIXED64, 8},        [J_SFIXED64] = {-0x1p63, 0x1p63, FIXED64, 8},
    [J_DOUBLE] = {0, 0, FIXED64, 8},              [J_ENUM] = {-0x1p31, 0x1p31, VARINT, 10},
    [J_BOOL] = {0, 0, VARINT, 1},
};

// As 64 bits, those of a negative number in two's complement.
static bool as_integer(json *j, const json_field *f, const json_number *n, uint64_t *bits) {
  double low = KINDS[f->kind].low, high = KINDS[f->kind].high, value;
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

static bool read_scalar(json *j, const json_field *f, uint64_t *bits, bool *is_nothing) {
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

static bool put_scalar(json *j, const json_field *f, uint64_t bits) {
  if (!has_room(j, KINDS[f->kind].width)) return false;
  if (KINDS[f->kind].wire == VARINT) {
    put_varint(j, f->kind == J_SINT32 ? (uint32_t)bits << 1 ^ (uint32_t)((int32_t)bits >> 31) : bits);
  } else {
    memcpy(j->out, &bits, KINDS[f->kind].width);
    j->out += KINDS[f->kind].width;
  }
  return true;
}

// --- fields

static bool put_mark(json *j) {
  if (!has_room(j, TAG_MAX + 1)) return false;
  put_varint(j, (uint64_t)REFUSED << 3 | VARINT);
  put_varint(j, 1);
  return true;
}

static bool put_message(json *j, const json_message *m);

static bool put_value(json *j, const json_field *f) {
  uint64_t bits;
  uint8_t *at;
  bool is_nothing = false;
  switch (f->kind) {
    case J_TEXT: return put_text(j, f);
    case J_BYTES:
    case J_ID: return put_bytes(j, f);
    case J_MESSAGE:
      return put_tag(j, f, LENGTH) && open_length(j, &at) && put_message(j, &JSON_MESSAGES[f->of]) && close_length(j, at);
    default:
      if (!read_scalar(j, f, &bits, &is_nothing)) return false;
      if (is_nothing || (!bits && !f->flags)) return true;
      return put_tag(j, f, (enum wire_type)KINDS[f->kind].wire) && put_scalar(j, f, bits);
  }
}

// --- what is passed over

// A message that stands for one item which is refused.
static bool put_refused(json *j, const json_message *m) {
  for (unsigned i = 0; i < m->count; i++) {
    const json_field *f = &m->fields[i];
    uint8_t *at;
    if (f->kind == J_MESSAGE && JSON_MESSAGES[f->of].roles & J_PATH)
      return put_tag(j, f, LENGTH) && open_length(j, &at) && put_refused(j, &JSON_MESSAGES[f->of]) && close_length(j, at);
  }
  return put_mark(j);
}

static void say_where(const json *j, char *to, size_t size);

static void note(json *j) {
  transcoded *r = j->result;
  if (r->what) return;
  r->at = (uint64_t)(j->text.at - j->begin);
  r->what = j->fault;
  say_where(j, r->where, sizeof r->where);
}

typedef struct {
  const uint8_t *text;
  uint8_t *out;
  unsigned depth;
} place;

static place here(const json *j) { return (place){j->text.at, j->out, j->depth}; }

// After a fault in a value of `f` that began here: as if it had not been there, but for what is said of it.
static bool pass_over(json *j, const json_field *f, place begin) {
  uint8_t *at;
  if (j->is_full || j->is_broken) return false;
  note(j);
  j->text.at = begin.text;
  j->out = begin.out;
  j->depth = begin.depth;
  j->fault = NULL;
  if (!json_skip(j)) {
    j->is_broken = true;
    return false;
  }
  if (f->kind == J_MESSAGE && JSON_MESSAGES[f->of].roles & J_PATH)
    return put_tag(j, f, LENGTH) && open_length(j, &at) && put_refused(j, &JSON_MESSAGES[f->of]) && close_length(j, at);
  if (f->kind != J_ID) j->is_refused = true;
  return true;
}

static bool put_or_pass(json *j, const json_field *f) {
  place begin = here(j);
  return put_value(j, f) || pass_over(j, f, begin);
}

static bool put_list(json *j, const json_field *f) {
  bool is_packed = f->kind < J_TEXT, is_nothing = false;
  int64_t *index = &j->path[j->depth].index;
  uint8_t *begin = j->out, *at = NULL, *first;
  uint64_t bits;
  if (!json_next(j, '[')) return json_fail(j, "an array belongs here");
  if (is_packed && (!put_tag(j, f, LENGTH) || !open_length(j, &at))) return false;
  first = j->out;
  json_space(j);
  for (*index = 0; !json_next(j, ']'); ++*index) {
    if (*index) {
      if (!json_next(j, ',')) return json_fail(j, "a comma or ] belongs here");
      json_space(j);
    }
    if (!is_packed) {
      if (f->kind == J_MESSAGE ? !put_or_pass(j, f) : !put_value(j, f)) return false;
    } else if (!read_scalar(j, f, &bits, &is_nothing) || (!is_nothing && !put_scalar(j, f, bits))) {
      return false;
    }
    json_space(j);
  }
  *index = -1;
  if (is_packed && j->out == first) j->out = begin;
  return !is_packed || j->out == begin || close_length(j, at);
}

static bool is_name(const char *name, uint8_t size, bytes key) {
  return length_of(key) == size && !memcmp(key.at, name, size);
}

// The field of a name; senders write them in one order, so that it is mostly the one after the last.
static const json_field *field_of(const json_message *m, const json_string *key, unsigned *next) {
  enum { ESCAPED_MAX = 6 * 64 };
  uint8_t said[ESCAPED_MAX];
  bytes name = key->raw;
  if (key->is_escaped) {
    if (length_of(name) > ESCAPED_MAX) return NULL;
    name = (bytes){said, json_unescape(key, said)};
  }
  for (unsigned i = 0; i < m->count; i++) {
    if (*next >= m->count) *next = 0;
    const json_field *f = &m->fields[(*next)++];
    if (is_name(f->name, f->name_size, name) || is_name(f->proto_name, f->proto_name_size, name)) return f;
  }
  return NULL;
}

// A member that cannot be there beside another one: neither of the two is to be trusted.
static bool clash(json *j, const char *fault) {
  json_fail(j, fault);
  note(j);
  j->fault = NULL;
  j->is_refused = true;
  if (json_skip(j)) return true;
  j->is_broken = true;
  return false;
}

static bool put_field(json *j, const json_message *m, const json_field *f, uint64_t *seen) {
  const uint64_t choice = (uint64_t)1 << 63, bit = (uint64_t)1 << (f - m->fields);
  const bool is_request = j->depth == 1;  // holds no item that could be refused in its place
  if (*seen & bit) return is_request ? json_fail(j, "this field is given twice") : clash(j, "this field is given twice");
  *seen |= bit;
  if (json_literal(j, "null")) return true;
  if (f->flags & J_CHOICE) {
    if (*seen & choice) return clash(j, "only one of the alternatives may be given");
    *seen |= choice;
  }
  place begin = here(j);
  if (f->flags & J_LIST ? put_list(j, f) : put_value(j, f)) return true;
  if (is_request) return false;
  return pass_over(j, f, begin);
}

static bool put_members(json *j, const json_message *m);

static bool put_message(json *j, const json_message *m) {
  if (!json_sees(j, '{')) return json_fail(j, "an object belongs here");
  if (j->depth == JSON_DEPTH_MAX) return json_skip(j) || !(j->is_broken = true);
  const bool of_others = j->is_refused;
  j->is_refused = false;
  if (!put_members(j, m)) return false;
  if (!(m->roles & J_MARKED)) {
    j->is_refused |= of_others;
    return true;
  }
  bool is_put = !j->is_refused || put_mark(j);
  j->is_refused = of_others;
  return is_put;
}

// Whether a member of a request that has no such field is one of another signal's: its items would be lost without a word.
static bool is_of_another_signal(const json_string *key) {
  unsigned next = 0;
  for (unsigned signal = 0; signal < 3; signal++)
    if (field_of(&JSON_MESSAGES[signal], key, &next)) return true;
  return false;
}

static bool put_members(json *j, const json_message *m) {
  uint64_t seen = 0;
  unsigned next = 0;
  j->depth++;
  j->text.at++;
  json_space(j);
  if (json_next(j, '}')) {
    j->depth--;
    return true;
  }
  for (;;) {
    json_string key;
    j->path[j->depth].field = NULL;
    j->path[j->depth].index = -1;
    if (!json_read_string(j, &key)) return false;
    const json_field *f = field_of(m, &key, &next);
    json_space(j);
    if (!json_next(j, ':')) return json_fail(j, "a colon belongs here");
    json_space(j);
    if (f) {
      j->path[j->depth].field = f;
      if (!put_field(j, m, f, &seen)) return false;
    } else if (j->depth == 1 && is_of_another_signal(&key)) {
      return json_fail(j, "it holds another signal than is sent here");
    } else if (!json_skip(j)) {
      j->is_broken = true;
      return false;
    }
    json_space(j);
    if (json_next(j, '}')) break;
    if (!json_next(j, ',')) return json_fail(j, "a comma or } belongs here");
    json_space(j);
  }
  j->depth--;
  return true;
}

// --- the whole

// As in resourceSpans[0].scopeSpans[2].scope; what does not fit is left out at its end.
static void say_where(const json *j, char *to, size_t size) {
  *to = 0;
  for (unsigned depth = 1; depth <= j->depth && depth <= JSON_DEPTH_MAX; depth++) {
    const json_field *f = j->path[depth].field;
    if (!f) break;
    char step[64];
    int length = snprintf(step, sizeof step, "%s%s", depth > 1 ? "." : "", f->name);
    if (j->path[depth].index >= 0) length += snprintf(step + length, sizeof step - (size_t)length, "[%lld]", (long long)j->path[depth].index);
    if ((size_t)length + sizeof "..." > size) {
      memcpy(to, "...", sizeof "...");
      return;
    }
    memcpy(to, step, (size_t)length + 1);
    to += length;
    size -= (size_t)length;
  }
}

// A request of a signal in at most `room` bytes, freed with duoscope_json_free. 0, or -1 where it is none, and `result` says
// why (of a request, what was passed over first), or -2 without memory, or -3 where the room is too small.
__attribute__((visibility("default"))) int duoscope_json(int signal, const uint8_t *text, size_t size, size_t room,
                                                         transcoded *result) {
  *result = (transcoded){0};
  uint8_t *out = malloc(room + 1);
  if (!out) return -2;
  json j = {.text = {text, text + size}, .begin = text, .out = out, .out_end = out + room, .result = result};
  json_space(&j);
  bool is_read = put_message(&j, &JSON_MESSAGES[signal]);
  if (is_read) {
    json_space(&j);
    is_read = j.text.at == j.text.end || json_fail(&j, "nothing may follow the object");
  }
  free(j.open);
  if (is_read) {
    result->data = out;
    result->size = (size_t)(j.out - out);
    return 0;
  }
  free(out);
  result->at = (uint64_t)(j.text.at - text);
  result->what = j.fault;
  say_where(&j, result->where, sizeof result->where);
  return j.out_of_memory ? -2 : j.is_full ? -3 : -1;
}

__attribute__((visibility("default"))) void duoscope_json_free(uint8_t *data) { free(data); }
