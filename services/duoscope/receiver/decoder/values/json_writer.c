#include "values/json_writer.h"

#include <math.h>
#include <stdio.h>

#include "decoder.h"
#include "values/numbers.h"
#include "values/utf8.h"

#define NESTED_MARK "\"\u2026[cut]\""  // in the place of what nests deeper than is stored

// No control character, quote, backslash or byte beyond ASCII: goes into JSON as it is.
static bool is_plain(bytes t) {
  while (length_of(t) >= 8) {
    uint64_t v = load64(t.at);
    if ((v & HIGHS) | BELOW(v, 0x20) | HAS(v, '"') | HAS(v, '\\')) return false;
    t.at += 8;
  }
  for (; t.at < t.end; t.at++)
    if (*t.at < 0x20 || *t.at >= 0x80 || *t.at == '"' || *t.at == '\\') return false;
  return true;
}

// Whether there is no room for `size` bytes more.
bool is_full(decoder *d, const buffer *out, size_t size) {
  if (out->size <= d->room.end && size <= d->room.end - out->size) return false;
  if (!d->room.is_cut) d->room.cut_at = out->size;
  d->room.is_cut = true;
  return true;
}

bool put_json_text(decoder *d, buffer *out, bytes text) {
  size_t size = length_of(text);
  bool was_cut = d->room.is_cut;
  if (is_full(d, out, size)) {
    if (!is_utf8(text)) return false;
    if (was_cut || out->size >= d->room.end) return true;
    text = prefix_of(text, d->room.end - out->size);
    size = length_of(text);
    d->room.cut_at = SIZE_MAX;  // below
  }
  if (is_plain(text)) {
    if (!buffer_room(out, size + 2)) {
      d->out_of_memory = true;
      return true;
    }
    out->data[out->size++] = '"';
    if (size) memcpy(out->data + out->size, text.at, size);
    out->size += size;
    if (d->room.is_cut && d->room.cut_at == SIZE_MAX) d->room.cut_at = out->size;
    out->data[out->size++] = '"';
    return true;
  }
  bool readable = is_utf8(text);
  if (size > SIZE_MAX / 8 || !buffer_room(out, 6 * size + 2)) {
    d->out_of_memory = true;
    return true;
  }
  uint8_t *to = out->data + out->size;
  *to++ = '"';
  for (; text.at < text.end; text.at++) {
    uint8_t c = *text.at;
    const char *short_form = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
    if (short_form) {
      *to++ = (uint8_t)short_form[0];
      *to++ = (uint8_t)short_form[1];
    } else if (c < 0x20) {
      memcpy(to, "\\u00", 4);
      to[4] = (uint8_t)('0' + (c >> 4));
      to[5] = (uint8_t)"0123456789abcdef"[c & 15];
      to += 6;
    } else {
      *to++ = c;
    }
  }
  if (d->room.is_cut && d->room.cut_at == SIZE_MAX) d->room.cut_at = (size_t)(to - out->data);
  *to++ = '"';
  out->size = (size_t)(to - out->data);
  return readable;
}

void put_literal(decoder *d, buffer *out, const char *text) {
  if (!buffer_put(out, text, strlen(text))) d->out_of_memory = true;
}

static void put_int(decoder *d, buffer *out, int64_t value) {
  char digits[INT_CHARS_MAX];
  if (!buffer_put(out, digits, write_int(digits, value))) d->out_of_memory = true;
}

void put_double(decoder *d, buffer *out, double value) {
  char text[DOUBLE_CHARS_MAX];
  if (!buffer_put(out, text, write_double(text, value))) d->out_of_memory = true;
}

static void put_json_double(decoder *d, buffer *out, double value) {
  const size_t begin = out->size;
  if (isfinite(value)) {
    put_double(d, out, value);
    for (size_t i = begin; d->exact_doubles && i < out->size; i++)
      if (out->data[i] == '.' || out->data[i] == 'e') return;
    if (d->exact_doubles) put_literal(d, out, ".0");
  } else {
    put_literal(d, out, isnan(value) ? "\"nan\"" : value > 0 ? "\"inf\"" : "\"-inf\"");
  }
}

void put_base64(decoder *d, buffer *out, bytes b) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (is_full(d, out, length_of(b))) return;
  if (!buffer_room(out, (length_of(b) / 3 + 1) * 4)) {
    d->out_of_memory = true;
    return;
  }
  uint8_t *to = out->data + out->size;
  for (; b.at < b.end; b.at += 3) {
    size_t left = length_of(b);
    uint32_t v = (uint32_t)b.at[0] << 16 | (left > 1 ? (uint32_t)b.at[1] << 8 : 0) | (left > 2 ? b.at[2] : 0);
    *to++ = (uint8_t)digits[v >> 18];
    *to++ = (uint8_t)digits[v >> 12 & 63];
    *to++ = left > 1 ? (uint8_t)digits[v >> 6 & 63] : '=';
    *to++ = left > 2 ? (uint8_t)digits[v & 63] : '=';
    if (left <= 3) break;
  }
  out->size = (size_t)(to - out->data);
}

static int put_value(decoder *d, bytes message, uint32_t depth, buffer *out);

static int put_nested(decoder *d, bytes message, bool with_keys, uint32_t depth, buffer *out) {
  field f;
  bool first = true;
  int more, verdict = OK;
  if (!buffer_put_byte(out, with_keys ? '{' : '[')) d->out_of_memory = true;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (tag_of(&f) != TAG_OF_VALUES) continue;
    if (is_full(d, out, 1)) {
      if (!is_message(f.range, with_keys ? MESSAGE_KEY_VALUE : MESSAGE_ANY_VALUE)) return MALFORMED;
      continue;
    }
    if (!first && !buffer_put_byte(out, ',')) d->out_of_memory = true;
    first = false;
    bytes value = f.range;
    if (with_keys) {
      bytes key;
      if (read_pair(d, f.range, &key, &value) == MALFORMED) return MALFORMED;
      if (!put_json_text(d, out, key)) verdict = worse_of(verdict, INVALID_UTF8);
      if (!buffer_put_byte(out, ':')) d->out_of_memory = true;
    }
    verdict = worse_of(verdict, put_value(d, value, depth + 1, out));
    if (verdict == MALFORMED) return MALFORMED;
  }
  if (!buffer_put_byte(out, with_keys ? '}' : ']')) d->out_of_memory = true;
  return verdict;
}

int put_any(decoder *d, const any_value *v, uint32_t depth, buffer *out) {
  switch (v->kind) {
    case STRING:
      return put_json_text(d, out, v->range) ? OK : INVALID_UTF8;
    case BOOL:
      put_literal(d, out, v->number ? "true" : "false");
      return OK;
    case INT:
      put_int(d, out, (int64_t)v->number);
      return OK;
    case DOUBLE:
      put_json_double(d, out, as_double(v->number));
      return OK;
    case ARRAY: case KVLIST:
      if (depth < d->limits.depth_max) return put_nested(d, v->range, v->kind == KVLIST, depth, out);
      d->cut |= 1u << NESTING_CUT;
      put_literal(d, out, NESTED_MARK);
      return OK;
    case BYTES:
      put_literal(d, out, "{\"@otlp.bytes_value\":\"");
      put_base64(d, out, v->range);
      put_literal(d, out, "\"}");
      return OK;
    default:
      put_literal(d, out, "null");
      return OK;
  }
}

static int put_value(decoder *d, bytes message, uint32_t depth, buffer *out) {
  any_value v;
  int verdict = read_any(d, message, &v);
  return verdict == OK ? put_any(d, &v, depth, out) : verdict;
}

// What stands at the end of a text that is cut.
static size_t cut_mark(char *mark, size_t room, size_t size) {
  return (size_t)snprintf(mark, room, "\u2026[cut from %zu bytes]", size);
}

enum { MARK_MAX = 48 };

void cut_short(decoder *d, buffer *out, size_t begin, size_t end, size_t size, bool is_json) {
  char mark[MARK_MAX];
  const size_t length = cut_mark(mark, sizeof mark, size) + is_json;
  size_t keep = begin;
  for (size_t i = begin; i < out->size;) {
    const uint8_t *c = out->data + i;
    size_t step = 1;
    if (is_json && *c == '\\')
      step = c[1] == 'u' ? 6 : 2;
    else if (*c >= 0xc0)
      step = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : 2;
    if (i + step > out->size || i + step + length > end) break;
    keep = i += step;
  }
  out->size = keep;
  if (!buffer_put(out, mark, length - is_json) || (is_json && !buffer_put_byte(out, '"'))) d->out_of_memory = true;
}
