#include "values/attributes.h"

#include <stdlib.h>

#include "columns/hash.h"
#include "decoder.h"
#include "values/json_writer.h"

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
static uint64_t hash_of_pair(bytes key, bytes value) {
  return hash_bytes(key.at, length_of(key), hash_secret + (value.at < value.end ? *value.at : 0));
}

enum { LIST_OF_LARGEST = 16 };  // as many of the largest attributes as one list may have

// Of an attribute, what is stored at the end of `out`. MALFORMED, INVALID_UTF8, or OK; `is_kept` tells whether it fits.
static int put_pair(decoder *d, const pair *p, size_t list_end, buffer *out, bool *is_kept) {
  const size_t size_max = d->limits.attribute_bytes_max;
  any_value v;
  int verdict = OK;
  d->room.is_cut = *is_kept = false;
  if (length_of(p->key) > size_max || out->size >= list_end) return is_message(p->value, MESSAGE_ANY_VALUE) ? OK : MALFORMED;
  d->room.end = SIZE_MAX;
  if (out->size > 1 && !buffer_put_byte(out, ',')) d->out_of_memory = true;
  if (!put_json_text(d, out, p->key)) verdict = INVALID_UTF8;
  if (!buffer_put_byte(out, ':')) d->out_of_memory = true;
  const size_t begin = out->size;
  d->room.end = begin + size_max;
  if (read_any(d, p->value, &v) == MALFORMED) return MALFORMED;
  int of_value = put_any(d, &v, 0, out);
  if (of_value == MALFORMED) return MALFORMED;
  bool is_large = d->room.is_cut || out->size > d->room.end;
  if (is_large) {
    d->cut |= 1u << ATTRIBUTE_CUT;
    d->attributes.lost_hash += hash_bytes(p->value.at, length_of(p->value), 0);
    if (v.kind != STRING) return OK;
    if (of_value == OK) {
      out->size--;  // the closing quote
      cut_short(d, out, begin + 1, d->room.end, length_of(v.range), true);
    }
  }
  if (v.kind == STRING && of_value != OK) {
    *is_kept = true;
    return of_value;
  }
  *is_kept = out->size <= list_end;
  return *is_kept ? worse_of(verdict, of_value) : OK;
}

// Leaves out what has no room, in `pairs` too.
static int put_pairs(decoder *d, pair *pairs, size_t *count, buffer *out) {
  int verdict = OK;
  size_t kept = 0;
  const size_t list_end = (size_t)LIST_OF_LARGEST * d->limits.attribute_bytes_max;
  d->attributes.schema_hash = 0;
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
      d->attributes.lost_hash += hash_bytes(pairs[i].key.at, length_of(pairs[i].key), 0);
      continue;
    }
    verdict = worse_of(verdict, of_pair);
    d->attributes.schema_hash += hash_of_pair(pairs[i].key, pairs[i].value);
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
  d->attributes.dropped += list->count - count;
  qsort(pairs, count, sizeof(pair), compare_places);
  for (size_t i = 0; i < count; i++) list->items[i] = list->items[pairs[i].place];
  list->count = count;
}

enum { FEW = 64 };

int attributes_json(decoder *d, ranges *list, bool sorted, buffer *out) {
  pair few[FEW], *pairs = few;
  size_t count = list->count;
  out->size = 0;
  d->attributes.dropped = list->more;
  d->attributes.lost_hash = list->lost_hash;
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
