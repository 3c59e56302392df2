#include "values/body.h"

#include <math.h>

#include "decoder.h"
#include "values/json_writer.h"
#include "values/utf8.h"

// Whether all texts of a value are UTF-8, those that are not stored too: so that it does not depend on where a body is cut.
static bool is_readable(decoder *d, bytes message, uint32_t depth) {
  any_value v;
  field f;
  if (read_any(d, message, &v) == MALFORMED) return true;
  if (v.kind == STRING) return is_utf8(v.range);
  if ((v.kind != ARRAY && v.kind != KVLIST) || depth >= d->limits.depth_max) return true;
  for (bytes m = v.range; next_field(&m, &f) > 0;) {
    bytes key, value = f.range;
    if (tag_of(&f) != TAG_OF_VALUES) continue;
    if (v.kind == KVLIST && (read_pair(d, f.range, &key, &value) == MALFORMED || !is_utf8(key))) return false;
    if (!is_readable(d, value, depth + 1)) return false;
  }
  return true;
}

int body_text(decoder *d, bytes message, size_t size_max, buffer *out, uint8_t *kind) {
  any_value v;
  out->size = 0;
  int verdict = read_any(d, message, &v);
  if (verdict != OK) return verdict;
  *kind = (uint8_t)v.kind;
  d->room.end = size_max;
  d->room.is_cut = false;
  bytes text = v.range;
  switch (v.kind) {
    case NONE:
      break;
    case STRING:
      if (!is_utf8(text)) return INVALID_UTF8;
      if (is_full(d, out, length_of(text))) text = prefix_of(text, size_max);
      d->room.cut_at = length_of(text);
      if (!buffer_put(out, text.at, length_of(text))) d->out_of_memory = true;
      break;
    case BYTES:
      if (4 * (length_of(text) / 3) > size_max) {
        d->room.is_cut = true;
        text.end = text.at + size_max / 4 * 3;
      }
      put_base64(d, out, text);
      d->room.cut_at = out->size;
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
  if (verdict != OK || (!d->room.is_cut && out->size <= size_max)) return verdict;
  if (v.kind != BYTES && !is_readable(d, message, 0)) return INVALID_UTF8;
  if (d->room.is_cut && d->room.cut_at < out->size) out->size = d->room.cut_at;
  cut_short(d, out, 0, size_max, v.kind == STRING || v.kind == BYTES ? length_of(v.range) : length_of(message), false);
  d->cut |= 1u << BODY_CUT;
  *kind = STRING;
  return verdict;
}
