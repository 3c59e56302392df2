#include "values/attributes.h"

#include <stdlib.h>

#include "columns/hash.h"
#include "decoder.h"
#include "values/json_writer.h"
#include "values/utf8.h"

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

static uint64_t hash_of_key(bytes key) { return hash_bytes(key.at, length_of(key), hash_secret); }

// A hash of a key and the first byte of a value, which tells its type. Sums of these do not depend on the order.
static uint64_t hash_of_pair(uint64_t key_hash, bytes value) {
  return key_hash * (0x9e3779b97f4a7c15u + 2u * (value.at < value.end ? *value.at : 0));
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

// --- Attributes with columns of their own.

// A name that the row has, without a path: known by its hash, which nobody can aim at.
typedef struct {
  uint64_t hash, serial;
} named;

// Whether the row has the name already; from now on it has.
static bool is_repeated(decoder *d, uint64_t hash, size_t names_max) {
  buffer *b = &d->typed.names;
  size_t slots = b->size / sizeof(named);
  if (slots < 2 * names_max) {  // only before the first name of a row
    for (slots = 64; slots < 2 * names_max;) slots *= 2;
    b->size = 0;
    if (!buffer_room(b, slots * sizeof(named))) {
      d->out_of_memory = true;
      return true;
    }
    b->size = slots * sizeof(named);
    memset(b->data, 0, b->size);
  }
  named *names = (named *)b->data;
  size_t s = hash & (slots - 1);
  for (; names[s].serial == d->typed.serial; s = (s + 1) & (slots - 1))
    if (names[s].hash == hash) return true;
  names[s] = (named){hash, d->typed.serial};
  return false;
}

// Whether columns keep a value exactly.
static bool read_typed(const decoder *d, const any_value *v, object_value *typed) {
  typed->number = v->number;
  typed->text = no_bytes();
  switch (v->kind) {
    case BOOL:
      typed->type = OBJECT_BOOL;
      typed->number = v->number != 0;
      return true;
    case INT: typed->type = OBJECT_INT; return true;
    case DOUBLE: typed->type = OBJECT_DOUBLE; return true;
    case STRING:
      // One that JSON would have to cut, at the most, is judged and stored as such.
      typed->type = OBJECT_TEXT;
      typed->text = v->range;
      return length_of(v->range) <= d->limits.attribute_bytes_max / 6 && is_utf8(v->range);
    default: return false;
  }
}

// Takes an attribute to its column. MALFORMED or OK; `is_taken` tells whether it is one of those that have columns.
static int take_pair(decoder *d, object *o, const pair *p, size_t names_max, uint8_t *guess, uint64_t *hash, bool *is_taken) {
  object_value typed = {.name = p->key, .path = *guess};
  *is_taken = false;
  if (object_is(o, typed.path, p->key)) {
    *hash = o->paths[typed.path].hash;
  } else {
    *hash = hash_of_key(p->key);
    typed.path = object_find(o, p->key, *hash);
    if (typed.path != NO_PATH) *guess = (uint8_t)typed.path;
  }
  typed.hash = *hash;
  bool repeated;
  if (typed.path == NO_PATH) {
    repeated = is_repeated(d, typed.hash, names_max);
  } else {
    repeated = o->paths[typed.path].seen == d->typed.serial;
    o->paths[typed.path].seen = d->typed.serial;
  }
  any_value v;
  if (read_any(d, p->value, &v) == MALFORMED) return MALFORMED;
  if (repeated || (typed.path == NO_PATH && !object_takes(p->key)) || !read_typed(d, &v, &typed)) return OK;
  *is_taken = true;
  d->typed.size += length_of(p->key) + length_of(typed.text) + sizeof typed.number;
  if (!buffer_put(&d->typed.values, &typed, sizeof typed)) d->out_of_memory = true;
  return OK;
}

// Leaves out what has no room, in `pairs` too.
static int put_pairs(decoder *d, pair *pairs, size_t *count, object *columns, buffer *out) {
  int verdict = OK;
  size_t kept = 0;
  const size_t list_end = (size_t)LIST_OF_LARGEST * d->limits.attribute_bytes_max;
  d->attributes.schema_hash = 0;
  if (!buffer_put_byte(out, '{')) d->out_of_memory = true;
  uint8_t *guess = columns ? columns->after : NULL;  // from here the names of a row are mostly those of the last one, in order
  for (size_t i = 0; i < *count; i++) {
    const size_t begin = out->size;
    const unsigned cut = d->cut;
    uint64_t hash;
    bool is_kept = false;
    int of_pair = OK;
    if (columns && length_of(pairs[i].key) <= d->limits.attribute_bytes_max && d->typed.size + out->size < list_end) {
      of_pair = take_pair(d, columns, &pairs[i], *count, guess, &hash, &is_kept);
      if (of_pair == MALFORMED) return MALFORMED;
      if (is_kept) guess = columns->after + 1 + *guess;
    } else {
      hash = hash_of_key(pairs[i].key);
    }
    if (!is_kept) of_pair = put_pair(d, &pairs[i], list_end - (d->typed.size < list_end ? d->typed.size : list_end), out, &is_kept);
    if (of_pair == MALFORMED) return MALFORMED;
    if (!is_kept) {
      out->size = begin;
      d->cut = cut | 1u << ATTRIBUTE_CUT;
      d->attributes.lost_hash += hash_bytes(pairs[i].key.at, length_of(pairs[i].key), 0);
      continue;
    }
    verdict = worse_of(verdict, of_pair);
    d->attributes.schema_hash += hash_of_pair(hash, pairs[i].value);
    pairs[kept++] = pairs[i];
  }
  *count = kept;
  if (columns && out->size == 1)
    out->size = 0;
  else if (!buffer_put_byte(out, '}'))
    d->out_of_memory = true;
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

static int read_attributes(decoder *d, ranges *list, bool sorted, object *columns, buffer *out) {
  pair few[FEW], *pairs = few;
  size_t count = list->count;
  out->size = d->typed.size = 0;
  d->attributes.dropped = list->more;
  d->attributes.lost_hash = list->lost_hash;
  if (list->more) d->cut |= 1u << LIST_CUT;
  if (count > FEW && !(pairs = malloc(count * sizeof(pair)))) {
    d->out_of_memory = true;
    return OK;
  }
  int verdict = OK;
  // What has an order is what series are known by: their texts stay as they have been.
  d->exact_doubles = !sorted;
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
  if (verdict == OK) verdict = put_pairs(d, pairs, &count, columns, out);
  if (verdict == OK && count < list->count) keep_places(list, pairs, count, d);
  if (pairs != few) free(pairs);
  d->exact_doubles = false;
  return verdict;
}

int attributes_json(decoder *d, ranges *list, bool sorted, buffer *out) { return read_attributes(d, list, sorted, NULL, out); }

int attributes_columns(decoder *d, ranges *list, object *columns, buffer *out) {
  d->typed.values.size = 0;
  d->typed.serial++;
  return read_attributes(d, list, false, columns, out);
}
