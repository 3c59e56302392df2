#include "rows/origin.h"

#include "columns/hash.h"
#include "decoder.h"
#include "rows/emit.h"
#include "values/any_value.h"
#include "values/attributes.h"
#include "values/body.h"
#include "values/utf8.h"

// Requests of all signals are alike, down to the items:
//
//   request { resource_x { resource, scope_x { scope, item, schema_url }, schema_url } }
//
// Those of traces are taken for those of all.
enum {
  TAG_RESOURCE_X = TAG_EXPORT_TRACE_SERVICE_REQUEST_RESOURCE_SPANS,
  TAG_SCOPE_X = TAG_RESOURCE_SPANS_SCOPE_SPANS,
  TAG_ITEM = TAG_SCOPE_SPANS_SPANS,
  TAG_HEAD = TAG_RESOURCE_SPANS_RESOURCE,
  FIELD_HEAD = FIELD_RESOURCE_SPANS_RESOURCE,
  TAG_URL = TAG_RESOURCE_SPANS_SCHEMA_URL,
};
SAME_FIELD(TAG_RESOURCE_X, TAG_EXPORT_LOGS_SERVICE_REQUEST_RESOURCE_LOGS);
SAME_FIELD(TAG_RESOURCE_X, TAG_EXPORT_METRICS_SERVICE_REQUEST_RESOURCE_METRICS);
SAME_FIELD(TAG_SCOPE_X, TAG_RESOURCE_LOGS_SCOPE_LOGS);
SAME_FIELD(TAG_SCOPE_X, TAG_RESOURCE_METRICS_SCOPE_METRICS);
SAME_FIELD(TAG_ITEM, TAG_SCOPE_LOGS_LOG_RECORDS);
SAME_FIELD(TAG_ITEM, TAG_SCOPE_METRICS_METRICS);
SAME_FIELD(TAG_HEAD, TAG_RESOURCE_LOGS_RESOURCE);
SAME_FIELD(TAG_HEAD, TAG_RESOURCE_METRICS_RESOURCE);
SAME_FIELD(TAG_HEAD, TAG_SCOPE_SPANS_SCOPE);
SAME_FIELD(TAG_HEAD, TAG_SCOPE_LOGS_SCOPE);
SAME_FIELD(TAG_HEAD, TAG_SCOPE_METRICS_SCOPE);
SAME_FIELD(TAG_URL, TAG_RESOURCE_LOGS_SCHEMA_URL);
SAME_FIELD(TAG_URL, TAG_RESOURCE_METRICS_SCHEMA_URL);
SAME_FIELD(TAG_URL, TAG_SCOPE_SPANS_SCHEMA_URL);
SAME_FIELD(TAG_URL, TAG_SCOPE_LOGS_SCHEMA_URL);
SAME_FIELD(TAG_URL, TAG_SCOPE_METRICS_SCHEMA_URL);

// Fields may come in any order, so each level is walked twice: for what its items share, then for the items.
typedef struct {
  bytes head;  // the resource or scope; joined where it came more than once
  bytes url;
  bool is_refused;
} heading;

static int read_heading(decoder *d, bytes message, enum otlp_message kind, heading *h) {
  field f;
  unsigned heads = 0;
  int more;
  *h = (heading){no_bytes(), no_bytes(), false};
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_HEAD:
        h->head = f.range;
        heads++;
        break;
      case TAG_URL: h->url = f.range; break;
      case TAG_REFUSED: h->is_refused = true; break;
      default: break;
    }
  }
  return heads > 1 && !join(&d->joined, message, FIELD_HEAD, kind, &h->head) ? MALFORMED : OK;
}

static void read_service(decoder *d, const ranges *pairs) {
  static const char name[] = "service.name";
  d->origin.service.size = 0;
  for (size_t i = 0; i < pairs->count; i++) {
    bytes key, value;
    if (read_pair(d, pairs->items[i], &key, &value) != OK) return;
    if (length_of(key) != sizeof name - 1 || memcmp(key.at, name, sizeof name - 1)) continue;
    // A number is a service too: a template's mistake must not put its telemetry where nobody finds it.
    uint8_t kind;
    const unsigned cut = d->cut;
    if (body_text(d, value, d->limits.attribute_bytes_max, &d->origin.service, &kind) != OK) d->origin.service.size = 0;
    d->cut = cut;
    return;
  }
}

// Attributes of a resource or scope, in d->pairs, and how many were dropped of them in all.
static int put_shared(decoder *d, uint32_t *dropped, bool is_refused, buffer *json) {
  int verdict = attributes_json(d, &d->pairs, true, json);
  *dropped = dropped_of(*dropped, d->attributes.dropped);
  return worse_of(is_refused ? INVALID_JSON_VALUE : OK, verdict);
}

static int read_resource(decoder *d, bytes message) {
  field f;
  int more;
  bool is_refused = false;
  ranges_clear(&d->pairs);
  d->origin.resource_dropped = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_RESOURCE_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_RESOURCE_DROPPED_ATTRIBUTES_COUNT: d->origin.resource_dropped = (uint32_t)f.value; break;
      case TAG_RESOURCE_ENTITY_REFS:  // nothing of them is kept
        if (!is_message(f.range, MESSAGE_ENTITY_REF)) return MALFORMED;
        break;
      case TAG_REFUSED: is_refused = true; break;
      default: break;
    }
  }
  return put_shared(d, &d->origin.resource_dropped, is_refused, &d->origin.resource);
}

static int read_scope(decoder *d, bytes message) {
  field f;
  int more;
  bool is_refused = false;
  origin *o = &d->origin;
  o->scope_name = o->scope_version = no_bytes();
  ranges_clear(&d->pairs);
  o->scope_dropped = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_INSTRUMENTATION_SCOPE_NAME: o->scope_name = f.range; break;
      case TAG_INSTRUMENTATION_SCOPE_VERSION: o->scope_version = f.range; break;
      case TAG_INSTRUMENTATION_SCOPE_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_INSTRUMENTATION_SCOPE_DROPPED_ATTRIBUTES_COUNT: o->scope_dropped = (uint32_t)f.value; break;
      case TAG_REFUSED: is_refused = true; break;
      default: break;
    }
  }
  return put_shared(d, &o->scope_dropped, is_refused, &o->scope_attributes);
}

// Items that cannot be told where they come from are rejected for the reason that their resource or scope is.
static int reject_items(decoder *d, bytes scope_x, item_counter count, enum otlp_message item, int verdict) {
  field f;
  int more;
  for (bytes m = scope_x; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    uint64_t items = 0;
    if (tag_of(&f) != TAG_ITEM) continue;
    if (!next_node(d) || !is_message(f.range, item) || count(f.range, &items) == MALFORMED) return MALFORMED;
    d->outcome->items += items;
    d->outcome->rejected[verdict] += items;
  }
  return OK;
}

static int read_items(decoder *d, bytes scope_x, int verdict, item_reader read, item_counter count, enum otlp_message item) {
  heading h;
  origin *o = &d->origin;
  if (!next_node(d) || read_heading(d, scope_x, MESSAGE_INSTRUMENTATION_SCOPE, &h) == MALFORMED) return MALFORMED;
  d->cut = 0;
  int of_scope = read_scope(d, h.head);
  if (of_scope == MALFORMED) return MALFORMED;
  o->scope_url = h.url;
  o->scope_cut = d->cut;
  if (!is_utf8(h.url) || !is_utf8(o->scope_name) || !is_utf8(o->scope_version)) of_scope = worse_of(of_scope, INVALID_UTF8);
  if (h.is_refused) of_scope = worse_of(INVALID_JSON_VALUE, of_scope);
  verdict = worse_of(verdict, of_scope);
  if (verdict != OK) return reject_items(d, scope_x, count, item, verdict);
  o->serial = ++d->serial;
  o->scope_hash = hash_bytes(o->scope_name.at, length_of(o->scope_name), 1);
  const chunk *until = d->joined.last;
  field f;
  for (bytes m = scope_x; next_field(&m, &f) > 0;) {
    if (tag_of(&f) != TAG_ITEM) continue;
    if (!next_node(d) || read(d, f.range) == MALFORMED) return MALFORMED;
    drop_joined(&d->joined, until);
  }
  return OK;
}

static int read_scopes(decoder *d, bytes resource_x, item_reader read, item_counter count, enum otlp_message item) {
  heading h;
  origin *o = &d->origin;
  if (!next_node(d) || read_heading(d, resource_x, MESSAGE_RESOURCE, &h) == MALFORMED) return MALFORMED;
  d->cut = 0;
  int verdict = read_resource(d, h.head);
  if (verdict == MALFORMED) return MALFORMED;
  if (!is_utf8(h.url)) verdict = worse_of(verdict, INVALID_UTF8);
  if (h.is_refused) verdict = worse_of(INVALID_JSON_VALUE, verdict);
  o->resource_url = h.url;
  o->resource_serial = ++d->serial;
  o->resource_schema_hash = d->attributes.schema_hash;
  o->resource_cut = d->cut;
  o->resource_hash = hash_bytes(o->resource.data, o->resource.size, 0) ^ d->attributes.lost_hash;
  if (verdict == OK) read_service(d, &d->pairs);
  o->service_hash = hash_bytes(o->service.data, o->service.size, hash_secret);
  const ranges of_resource = d->pairs;
  d->pairs = d->resource_pairs;
  d->resource_pairs = of_resource;
  field_values_resource(d);
  const chunk *until = d->joined.last;
  field f;
  for (bytes m = resource_x; next_field(&m, &f) > 0;) {
    if (tag_of(&f) != TAG_SCOPE_X) continue;
    if (read_items(d, f.range, verdict, read, count, item) == MALFORMED) return MALFORMED;
    drop_joined(&d->joined, until);
  }
  drop_joined(&d->joined, NULL);
  return OK;
}

int read_request(decoder *d, bytes request, item_reader read, item_counter count, enum otlp_message item) {
  field f;
  int more;
  for (bytes m = request; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (tag_of(&f) == TAG_RESOURCE_X && read_scopes(d, f.range, read, count, item) == MALFORMED) return MALFORMED;
  }
  return OK;
}

int count_one(bytes item, uint64_t *count) {
  (void)item;
  *count = 1;
  return OK;
}

void put_origin(decoder *d, size_t number) {
  table *t = &d->tables[number];
  uint32_t *words = d->seen[number].words;
  const origin *o = &d->origin;
  if (d->seen[number].origin != o->serial) {
    const bytes texts[ORIGIN_WORDS] = {
        [C_SERVICE - C_SERVICE] = buffer_bytes(&o->service),
        [C_RESOURCE - C_SERVICE] = buffer_bytes(&o->resource),
        [C_SCOPE_NAME - C_SERVICE] = o->scope_name,
        [C_SCOPE_VERSION - C_SERVICE] = o->scope_version,
        [C_SCOPE_ATTRIBUTES - C_SERVICE] = buffer_bytes(&o->scope_attributes),
        [C_RESOURCE_URL - C_SERVICE] = o->resource_url,
        [C_SCOPE_URL - C_SERVICE] = o->scope_url,
    };
    // A resource's texts are looked up once: it may be large, and its scopes many.
    static const bool of_resource[ORIGIN_WORDS] = {
        [C_SERVICE - C_SERVICE] = true, [C_RESOURCE - C_SERVICE] = true, [C_RESOURCE_URL - C_SERVICE] = true};
    bool met = d->seen[number].resource == o->resource_serial;
    for (size_t i = 0; i < ORIGIN_WORDS; i++)
      if (!(met && of_resource[i])) words[i] = word(t, C_SERVICE + i, texts[i]);
    d->seen[number].origin = o->serial;
    d->seen[number].resource = o->resource_serial;
  }
  put_owner(d, t);
  for (size_t i = 0; i < ORIGIN_WORDS; i++) put_u32(t, C_SERVICE + i, words[i]);
  if (d->signal != METRICS) {
    put_u32(t, C_RESOURCE_DROPPED, o->resource_dropped);
    put_u32(t, C_SCOPE_DROPPED, o->scope_dropped);
  }
}
