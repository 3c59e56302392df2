#include "values/any_value.h"

#include "decoder.h"

int read_any(decoder *d, bytes message, any_value *v) {
  *v = (any_value){.kind = NONE};
  field f;
  bytes m = message, run = message;
  unsigned pieces = 0;
  for (;;) {
    bytes before = m;
    int more = next_field(&m, &f);
    if (more < 0) return MALFORMED;
    if (!more) break;
    enum value_kind kind;
    switch (tag_of(&f)) {
      case TAG_ANY_VALUE_STRING_VALUE: case TAG_ANY_VALUE_BOOL_VALUE: case TAG_ANY_VALUE_INT_VALUE:
      case TAG_ANY_VALUE_DOUBLE_VALUE: case TAG_ANY_VALUE_ARRAY_VALUE: case TAG_ANY_VALUE_KVLIST_VALUE:
      case TAG_ANY_VALUE_BYTES_VALUE:
      case TAG_ANY_VALUE_STRING_VALUE_STRINDEX:  // of profiles, which have a table of texts; takes the oneof all the same
        kind = (enum value_kind)f.number;
        break;
      default:
        continue;
    }
    if (kind != v->kind) {
      if ((v->kind == ARRAY || v->kind == KVLIST) &&
          !is_message((bytes){run.at, before.at}, MESSAGE_ANY_VALUE))
        return MALFORMED;
      pieces = 0;
      run = (bytes){before.at, message.end};
    }
    pieces++;
    *v = (any_value){kind, f.value, f.range};
  }
  if (v->kind == TEXT_INDEX) *v = (any_value){.kind = NONE};
  if (pieces > 1 && (v->kind == ARRAY || v->kind == KVLIST) &&
      !join(&d->joined, run, (uint32_t)v->kind, v->kind == ARRAY ? MESSAGE_ARRAY_VALUE : MESSAGE_KEY_VALUE_LIST, &v->range))
    return MALFORMED;
  return OK;
}

int read_pair(decoder *d, bytes message, bytes *key, bytes *value) {
  *key = *value = no_bytes();
  field f;
  unsigned values = 0;
  int more;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (tag_of(&f) == TAG_KEY_VALUE_KEY) *key = f.range;
    if (tag_of(&f) == TAG_KEY_VALUE_VALUE) {
      *value = f.range;
      values++;
    }
  }
  return values > 1 && !join(&d->joined, message, FIELD_KEY_VALUE_VALUE, MESSAGE_ANY_VALUE, value) ? MALFORMED : OK;
}

uint8_t value_kind(decoder *d, bytes value) {
  any_value v;
  return read_any(d, value, &v) == OK ? (uint8_t)v.kind : NONE;
}
