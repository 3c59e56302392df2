// OTLP values as they are stored: attributes become a JSON object with typed values, a log body a text with its kind.
//
// JSON as everybody's, with two things it lacks: bytes are {"@otlp.bytes_value":"<base64>"}, and nan, inf and -inf are
// texts. telemetry/values.py reads it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "decoder.h"

#define NESTED_MARK "\"\u2026[cut]\""  // in the place of what nests deeper than is stored

enum value_kind { NONE, STRING, BOOL, INT, DOUBLE, ARRAY, KVLIST, BYTES, TEXT_INDEX };

int ranges_add(decoder *d, ranges *r, bytes item, enum shape shape) {
  if (r->count >= d->limits.attributes_max) {
    r->more++;
    r->lost += hash_bytes(item.at, length_of(item), 0);
    return is_message(item, shape) ? OK : MALFORMED;
  }
  if (r->count == r->capacity) {
    size_t capacity = r->capacity ? r->capacity * 2 : 32;
    bytes *items = realloc(r->items, capacity * sizeof(bytes));
    if (!items) {
      d->out_of_memory = true;
      return MALFORMED;
    }
    r->items = items;
    r->capacity = capacity;
  }
  r->items[r->count++] = item;
  return OK;
}

// Frees what was joined since `until` was the latest.
void drop_joined(decoder *d, const chunk *until) {
  while (d->joined != until) {
    chunk *next = d->joined->next;
    d->joined_size -= d->joined->size;
    free(d->joined);
    d->joined = next;
  }
}

bool join(decoder *d, bytes message, uint32_t number, enum shape shape, bytes *joined) {
  size_t size = 0;
  field f;
  for (bytes m = message; next_field(&m, &f) > 0;) {
    if (!IS(f, number, LENGTH)) continue;
    if (!is_message(f.range, shape)) return false;  // two halves of a field are no field
    size += length_of(f.range);
  }
  if (size > d->joined_max - d->joined_size) return false;
  chunk *c = malloc(sizeof(chunk) + size);
  if (!c) {
    d->out_of_memory = true;
    return false;
  }
  c->next = d->joined;
  c->size = size;
  d->joined = c;
  d->joined_size += size;
  uint8_t *to = c->data;
  for (bytes m = message; next_field(&m, &f) > 0;)
    if (IS(f, number, LENGTH) && length_of(f.range)) {
      memcpy(to, f.range.at, length_of(f.range));
      to += length_of(f.range);
    }
  *joined = (bytes){c->data, c->data + size};
  return true;
}

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

bool is_utf8(bytes t) {
  while (t.at < t.end) {
    if (length_of(t) >= 8 && !(load64(t.at) & HIGHS)) {
      t.at += 8;
      continue;
    }
    uint8_t c = *t.at++;
    if (c < 0x80) continue;
    unsigned more;
    uint8_t low = 0x80, high = 0xbf;  // of the second byte: no overlong form, no surrogate, nothing beyond U+10FFFF
    if (c >= 0xc2 && c <= 0xdf) {
      more = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
      more = 2;
      if (c == 0xe0) low = 0xa0;
      if (c == 0xed) high = 0x9f;
    } else if (c >= 0xf0 && c <= 0xf4) {
      more = 3;
      if (c == 0xf0) low = 0x90;
      if (c == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (length_of(t) < more || *t.at < low || *t.at > high) return false;
    for (t.at++; --more; t.at++)
      if ((*t.at & 0xc0) != 0x80) return false;
  }
  return true;
}

// Whether there is no room for `size` bytes more, so that what is not kept anyway takes no memory either.
static inline bool is_full(decoder *d, const buffer *out, size_t size) {
  if (out->size <= d->text_end && size <= d->text_end - out->size) return false;
  if (!d->is_cut) d->cut_at = out->size;
  d->is_cut = true;
  return true;
}

// A prefix of a text of at most `size` bytes that ends where a character does.
static bytes prefix_of(bytes text, size_t size) {
  if (length_of(text) <= size) return text;
  const uint8_t *end = text.at + size;
  while (end > text.at && (*end & 0xc0) == 0x80) end--;
  return (bytes){text.at, end};
}

// A text between quotes. False where it is no UTF-8. The first that there is no room for is put there as far as it goes.
static bool put_json_text(decoder *d, buffer *out, bytes text) {
  size_t size = length_of(text);
  bool was_cut = d->is_cut;
  if (is_full(d, out, size)) {
    if (!is_utf8(text)) return false;
    if (was_cut || out->size >= d->text_end) return true;
    text = prefix_of(text, d->text_end - out->size);
    size = length_of(text);
    d->cut_at = SIZE_MAX;  // below
  }
  if (is_plain(text)) {
    if (!buffer_room(out, size + 2)) {
      d->out_of_memory = true;
      return true;
    }
    out->data[out->size++] = '"';
    if (size) memcpy(out->data + out->size, text.at, size);
    out->size += size;
    if (d->is_cut && d->cut_at == SIZE_MAX) d->cut_at = out->size;
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
  if (d->is_cut && d->cut_at == SIZE_MAX) d->cut_at = (size_t)(to - out->data);
  *to++ = '"';
  out->size = (size_t)(to - out->data);
  return readable;
}

static void put_literal(decoder *d, buffer *out, const char *text) {
  if (!buffer_put(out, text, strlen(text))) d->out_of_memory = true;
}

static void put_int(decoder *d, buffer *out, int64_t value) {
  char digits[24], *at = digits + sizeof digits;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (value < 0) *--at = '-';
  if (!buffer_put(out, at, (size_t)(digits + sizeof digits - at))) d->out_of_memory = true;
}

// The fewest digits that give the number back.
static void put_double(decoder *d, buffer *out, double value) {
  if (value == floor(value) && fabs(value) < 1e15 && !(value == 0 && signbit(value))) {
    put_int(d, out, (int64_t)value);
    return;
  }
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (digits == 17 || strtod(text, NULL) == value) break;
  }
  put_literal(d, out, text);
}

static void put_json_double(decoder *d, buffer *out, double value) {
  if (isfinite(value))
    put_double(d, out, value);
  else
    put_literal(d, out, isnan(value) ? "\"nan\"" : value > 0 ? "\"inf\"" : "\"-inf\"");
}

static void put_base64(decoder *d, buffer *out, bytes b) {
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

// An AnyValue without its content read: the field of the oneof that came last, joined where it came in pieces.
typedef struct {
  enum value_kind kind;
  uint64_t number;
  bytes range;
} any_value;

static int read_any(decoder *d, bytes message, any_value *v) {
  *v = (any_value){.kind = NONE};
  field f;
  bytes m = message, run = message;
  unsigned pieces = 0;
  for (;;) {
    bytes before = m;
    int more = next_field(&m, &f);
    if (more < 0) return MALFORMED;
    if (!more) break;
    enum value_kind kind = NONE;
    switch (f.number) {
      case STRING: case ARRAY: case KVLIST: case BYTES:
        if (f.type == LENGTH) kind = (enum value_kind)f.number;
        break;
      case BOOL: case INT:
        if (f.type == VARINT) kind = (enum value_kind)f.number;
        break;
      case DOUBLE:
        if (f.type == FIXED64) kind = DOUBLE;
        break;
      case TEXT_INDEX:  // of profiles, which have a table of texts; takes the oneof all the same
        if (f.type == VARINT) kind = TEXT_INDEX;
        break;
      default:
        break;
    }
    if (kind == NONE) continue;
    if (kind != v->kind) {
      if ((v->kind == ARRAY || v->kind == KVLIST) &&
          !is_message((bytes){run.at, before.at}, A_VALUE))
        return MALFORMED;
      pieces = 0;
      run = (bytes){before.at, message.end};
    }
    pieces++;
    *v = (any_value){kind, f.value, f.range};
  }
  if (v->kind == TEXT_INDEX) *v = (any_value){.kind = NONE};
  if (pieces > 1 && (v->kind == ARRAY || v->kind == KVLIST) &&
      !join(d, run, (uint32_t)v->kind, v->kind == ARRAY ? A_VALUES : A_PAIRS, &v->range))
    return MALFORMED;
  return OK;
}

static int put_value(decoder *d, bytes message, uint32_t depth, buffer *out);

// A KeyValue's parts.
int read_pair(decoder *d, bytes message, bytes *key, bytes *value) {
  static const uint8_t nothing;
  *key = *value = (bytes){&nothing, &nothing};
  field f;
  unsigned values = 0;
  int more;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (IS(f, 1, LENGTH)) *key = f.range;
    if (IS(f, 2, LENGTH)) {
      *value = f.range;
      values++;
    }
  }
  return values > 1 && !join(d, message, 2, A_VALUE, value) ? MALFORMED : OK;
}

// The worst of two verdicts: a malformed message is malformed whatever else is wrong with it.
static inline int worse(int a, int b) { return a == MALFORMED || b == OK ? a : b == MALFORMED || a == OK ? b : a; }

static int put_nested(decoder *d, bytes message, bool with_keys, uint32_t depth, buffer *out) {
  field f;
  bool first = true;
  int more, verdict = OK;
  if (!buffer_put_byte(out, with_keys ? '{' : '[')) d->out_of_memory = true;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (!IS(f, 1, LENGTH)) continue;
    if (is_full(d, out, 1)) {
      if (!is_message(f.range, with_keys ? A_PAIR : A_VALUE)) return MALFORMED;
      continue;
    }
    if (!first && !buffer_put_byte(out, ',')) d->out_of_memory = true;
    first = false;
    bytes value = f.range;
    if (with_keys) {
      bytes key;
      if (read_pair(d, f.range, &key, &value) == MALFORMED) return MALFORMED;
      if (!put_json_text(d, out, key)) verdict = worse(verdict, INVALID_UTF8);
      if (!buffer_put_byte(out, ':')) d->out_of_memory = true;
    }
    verdict = worse(verdict, put_value(d, value, depth + 1, out));
    if (verdict == MALFORMED) return MALFORMED;
  }
  if (!buffer_put_byte(out, with_keys ? '}' : ']')) d->out_of_memory = true;
  return verdict;
}

static int put_any(decoder *d, const any_value *v, uint32_t depth, buffer *out) {
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

typedef struct {
  bytes key, value;
  size_t place;  // in the list
} pair;

static int compare_pairs(const void *a, const void *b) {
  const pair *x = a, *y = b;
  size_t n = length_of(x->key), m = length_of(y->key);
  int order = memcmp(x->key.at, y->key.at, n < m ? n : m);
  if (order || n != m) return order ? order : (n > m) - (n < m);
  return (x->place > y->place) - (x->place < y->place);  // qsort is not stable
}

// A hash of a key and the first byte of a value, which tells its type. Sums of these do not depend on the order.
static uint64_t shape_of(bytes key, bytes value) {
  return hash_bytes(key.at, length_of(key), hash_secret + (value.at < value.end ? *value.at : 0));
}

enum { LIST_OF_LARGEST = 16 };  // as many of the largest attributes as one list may have
// What stands at the end of a text that is cut.
static size_t cut_mark(char *mark, size_t room, size_t size) {
  return (size_t)snprintf(mark, room, "\u2026[cut from %zu bytes]", size);
}

enum { MARK_MAX = 48 };

// Cuts what was put from `begin` on, a text of `size` bytes without its closing quote, so that all of it and the mark end at
// `end` at most: where a character ends, and no escape is torn.
static void cut_short(decoder *d, buffer *out, size_t begin, size_t end, size_t size, bool is_json) {
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

// Of an attribute, what is stored at the end of `out`. MALFORMED, INVALID_UTF8, or OK; `is_kept` tells whether it fits.
static int put_pair(decoder *d, const pair *p, size_t list_end, buffer *out, bool *is_kept) {
  const size_t size_max = d->limits.attribute_bytes_max;
  any_value v;
  int verdict = OK;
  d->is_cut = *is_kept = false;
  if (length_of(p->key) > size_max || out->size >= list_end) return is_message(p->value, A_VALUE) ? OK : MALFORMED;
  d->text_end = SIZE_MAX;
  if (out->size > 1 && !buffer_put_byte(out, ',')) d->out_of_memory = true;
  if (!put_json_text(d, out, p->key)) verdict = INVALID_UTF8;
  if (!buffer_put_byte(out, ':')) d->out_of_memory = true;
  const size_t begin = out->size;
  d->text_end = begin + size_max;
  if (read_any(d, p->value, &v) == MALFORMED) return MALFORMED;
  int of_value = put_any(d, &v, 0, out);
  if (of_value == MALFORMED) return MALFORMED;
  bool is_large = d->is_cut || out->size > d->text_end;
  if (is_large) {
    d->cut |= 1u << ATTRIBUTE_CUT;
    d->lost += hash_bytes(p->value.at, length_of(p->value), 0);
    if (v.kind != STRING) return OK;
    if (of_value == OK) {
      out->size--;  // the closing quote
      cut_short(d, out, begin + 1, d->text_end, length_of(v.range), true);
    }
  }
  if (v.kind == STRING && of_value != OK) {
    *is_kept = true;
    return of_value;
  }
  *is_kept = out->size <= list_end;
  return *is_kept ? worse(verdict, of_value) : OK;
}

// Leaves out what has no room, in `pairs` too.
static int put_pairs(decoder *d, pair *pairs, size_t *count, buffer *out) {
  int verdict = OK;
  size_t kept = 0;
  const size_t list_end = (size_t)LIST_OF_LARGEST * d->limits.attribute_bytes_max;
  d->shape = 0;
  if (!buffer_put_byte(out, '{')) d->out_of_memory = true;
  for (size_t i = 0; i < *count; i++) {
    const size_t begin = out->size;
    const unsigned cut = d->cut;
    bool is_kept;
    int of_pair = put_pair(d, &pairs[i], list_end, out, &is_kept);
    if (of_pair == MALFORMED) return MALFORMED;
    if (!is_kept) {
      out->size = begin;
      d->cut = cut | 1u << ATTRIBUTE_CUT;
      d->lost += hash_bytes(pairs[i].key.at, length_of(pairs[i].key), 0);
      continue;
    }
    verdict = worse(verdict, of_pair);
    d->shape += shape_of(pairs[i].key, pairs[i].value);
    pairs[kept++] = pairs[i];
  }
  *count = kept;
  if (!buffer_put_byte(out, '}')) d->out_of_memory = true;
  return verdict;
}

static int compare_places(const void *a, const void *b) {
  const pair *x = a, *y = b;
  return (x->place > y->place) - (x->place < y->place);
}

// Leaves in the list what of it is in `pairs`, in its order.
static void keep_places(ranges *list, pair *pairs, size_t count, decoder *d) {
  d->dropped += list->count - count;
  qsort(pairs, count, sizeof(pair), compare_places);
  for (size_t i = 0; i < count; i++) list->items[i] = list->items[pairs[i].place];
  list->count = count;
}

enum { FEW = 64 };

// Replaces what `out` holds. What is left out is no longer in `list` either.
int attributes_json(decoder *d, ranges *list, bool sorted, buffer *out) {
  pair few[FEW], *pairs = few;
  size_t count = list->count;
  out->size = 0;
  d->dropped = list->more;
  d->lost = list->lost;
  if (list->more) d->cut |= 1u << LIST_CUT;
  if (count > FEW && !(pairs = malloc(count * sizeof(pair)))) {
    d->out_of_memory = true;
    return OK;
  }
  int verdict = OK;
  for (size_t i = 0; i < count && verdict == OK; i++) {
    pairs[i].place = i;
    verdict = read_pair(d, list->items[i], &pairs[i].key, &pairs[i].value);
  }
  if (verdict == OK && sorted && count <= FEW) {
    for (size_t i = 1; i < count; i++) {
      pair moved = pairs[i];
      size_t j = i;
      for (; j && compare_pairs(&pairs[j - 1], &moved) > 0; j--) pairs[j] = pairs[j - 1];
      pairs[j] = moved;
    }
  } else if (verdict == OK && sorted) {
    qsort(pairs, count, sizeof(pair), compare_pairs);
  }
  if (verdict == OK) verdict = put_pairs(d, pairs, &count, out);
  if (verdict == OK && count < list->count) keep_places(list, pairs, count, d);
  if (pairs != few) free(pairs);
  return verdict;
}

// The field of AnyValue that is set, or 0.
uint8_t value_kind(decoder *d, bytes value) {
  any_value v;
  return read_any(d, value, &v) == OK ? (uint8_t)v.kind : NONE;
}

// Whether all texts of a value are UTF-8, those that are not stored too: so that it does not depend on where a body is cut.
static bool is_readable(decoder *d, bytes message, uint32_t depth) {
  any_value v;
  field f;
  if (read_any(d, message, &v) == MALFORMED) return true;
  if (v.kind == STRING) return is_utf8(v.range);
  if ((v.kind != ARRAY && v.kind != KVLIST) || depth >= d->limits.depth_max) return true;
  for (bytes m = v.range; next_field(&m, &f) > 0;) {
    bytes key, value = f.range;
    if (!IS(f, 1, LENGTH)) continue;
    if (v.kind == KVLIST && (read_pair(d, f.range, &key, &value) == MALFORMED || !is_utf8(key))) return false;
    if (!is_readable(d, value, depth + 1)) return false;
  }
  return true;
}

// A body: a text as it is, bytes in base64, anything else as JSON. Replaces what `out` holds. One of more than `size_max` bytes
// is a text that is cut short, whatever it was.
int body_text(decoder *d, bytes message, size_t size_max, buffer *out, uint8_t *kind) {
  any_value v;
  out->size = 0;
  int verdict = read_any(d, message, &v);
  if (verdict != OK) return verdict;
  *kind = (uint8_t)v.kind;
  d->text_end = size_max;
  d->is_cut = false;
  bytes text = v.range;
  switch (v.kind) {
    case NONE:
      break;
    case STRING:
      if (!is_utf8(text)) return INVALID_UTF8;
      if (is_full(d, out, length_of(text))) text = prefix_of(text, size_max);
      d->cut_at = length_of(text);
      if (!buffer_put(out, text.at, length_of(text))) d->out_of_memory = true;
      break;
    case BYTES:
      if (4 * (length_of(text) / 3) > size_max) {
        d->is_cut = true;
        text.end = text.at + size_max / 4 * 3;
      }
      put_base64(d, out, text);
      d->cut_at = out->size;
      break;
    case DOUBLE:
      if (isfinite(as_double(v.number)))
        put_double(d, out, as_double(v.number));
      else
        put_literal(d, out, isnan(as_double(v.number)) ? "nan" : as_double(v.number) > 0 ? "inf" : "-inf");
      break;
    default:
      verdict = put_any(d, &v, 0, out);
  }
  if (verdict != OK || (!d->is_cut && out->size <= size_max)) return verdict;
  if (v.kind != BYTES && !is_readable(d, message, 0)) return INVALID_UTF8;
  if (d->is_cut && d->cut_at < out->size) out->size = d->cut_at;
  cut_short(d, out, 0, size_max, v.kind == STRING || v.kind == BYTES ? length_of(v.range) : length_of(message), false);
  d->cut |= 1u << BODY_CUT;
  *kind = STRING;
  return verdict;
}
