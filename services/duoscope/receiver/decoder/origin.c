// What requests of all signals have in common: resources, their scopes, the scopes' items.
//
//   request { 1: resource_x { 1: resource, 2: scope_x { 1: scope, 2: item, 3: schema_url }, 3: schema_url } }
#include "decoder.h"

// Fields may come in any order, so each level is walked twice: for what its items share, then for the items.
typedef struct {
  bytes first;   // of field 1; joined where it came more than once
  bytes url;     // field 3
  bool is_refused;
} heading;

static const uint8_t nothing;

static int read_heading(decoder *d, bytes message, enum shape shape, heading *h) {
  field f;
  unsigned firsts = 0;
  int more;
  *h = (heading){{&nothing, &nothing}, {&nothing, &nothing}, false};
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (IS(f, 1, LENGTH)) {
      h->first = f.range;
      firsts++;
    } else if (IS(f, 3, LENGTH)) {
      h->url = f.range;
    } else if (is_refused(&f)) {
      h->is_refused = true;
    }
  }
  return firsts > 1 && !join(d, message, 1, shape, &h->first) ? MALFORMED : OK;
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

static int worse(int a, int b) { return a == MALFORMED || b == OK ? a : b == MALFORMED || a == OK ? b : a; }

// A resource or a scope: attributes in field `attributes`, how many were dropped in the next one.
static int read_bearer(decoder *d, bytes message, uint32_t attributes, bytes *name, bytes *version, uint32_t *dropped,
                       buffer *json) {
  field f;
  int more, refused = OK;
  ranges_clear(&d->pairs);
  *dropped = 0;
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (IS(f, attributes, LENGTH)) {
      if (ranges_add(d, &d->pairs, f.range, A_PAIR) == MALFORMED) return MALFORMED;
    } else if (IS(f, attributes + 1, VARINT)) {
      *dropped = (uint32_t)f.value;
    } else if (!name && IS(f, 3, LENGTH)) {  // entity references: nothing of them is kept
      if (!is_message(f.range, A_LEAF)) return MALFORMED;
    } else if (name && IS(f, 1, LENGTH)) {
      *name = f.range;
    } else if (version && IS(f, 2, LENGTH)) {
      *version = f.range;
    } else if (is_refused(&f)) {
      refused = INVALID_JSON_VALUE;
    }
  }
  int verdict = attributes_json(d, &d->pairs, true, json);
  *dropped = dropped_of(*dropped, d->dropped);
  return worse(refused, verdict);
}

// Items that cannot be told where they come from are rejected for the reason that their resource or scope is.
static int reject_items(decoder *d, bytes scope_x, item_counter count, enum shape item, int verdict) {
  field f;
  int more;
  for (bytes m = scope_x; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    uint64_t items = 0;
    if (!IS(f, 2, LENGTH)) continue;
    if (!next_node(d) || !is_message(f.range, item) || count(f.range, &items) == MALFORMED) return MALFORMED;
    d->outcome->items += items;
    d->outcome->rejected[verdict] += items;
  }
  return OK;
}

static int read_scope(decoder *d, bytes scope_x, int verdict, item_reader read, item_counter count, enum shape item) {
  heading h;
  origin *o = &d->origin;
  if (!next_node(d) || read_heading(d, scope_x, A_SCOPE, &h) == MALFORMED) return MALFORMED;
  o->scope_name = o->scope_version = (bytes){&nothing, &nothing};
  d->cut = 0;
  int of_scope = read_bearer(d, h.first, 3, &o->scope_name, &o->scope_version, &o->scope_dropped, &o->scope_attributes);
  if (of_scope == MALFORMED) return MALFORMED;
  o->scope_url = h.url;
  o->scope_cut = d->cut;
  if (!is_utf8(h.url) || !is_utf8(o->scope_name) || !is_utf8(o->scope_version)) of_scope = worse(of_scope, INVALID_UTF8);
  if (h.is_refused) of_scope = worse(INVALID_JSON_VALUE, of_scope);
  verdict = worse(verdict, of_scope);
  if (verdict != OK) return reject_items(d, scope_x, count, item, verdict);
  o->serial = ++d->serial;
  o->scope_hash = hash_bytes(o->scope_name.at, length_of(o->scope_name), 1);
  const chunk *joined = d->joined;
  field f;
  for (bytes m = scope_x; next_field(&m, &f) > 0;) {
    if (!IS(f, 2, LENGTH)) continue;
    if (!next_node(d) || read(d, f.range) == MALFORMED) return MALFORMED;
    drop_joined(d, joined);
  }
  return OK;
}

int read_request(decoder *d, bytes request, item_reader read, item_counter count, enum shape item) {
  field f, g;
  int more;
  for (bytes m = request; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (!IS(f, 1, LENGTH)) continue;
    heading h;
    if (!next_node(d) || read_heading(d, f.range, A_RESOURCE, &h) == MALFORMED) return MALFORMED;
    d->cut = 0;
    int verdict = read_bearer(d, h.first, 1, NULL, NULL, &d->origin.resource_dropped, &d->origin.resource);
    if (verdict == MALFORMED) return MALFORMED;
    if (!is_utf8(h.url)) verdict = worse(verdict, INVALID_UTF8);
    if (h.is_refused) verdict = worse(INVALID_JSON_VALUE, verdict);
    d->origin.resource_url = h.url;
    d->origin.resource_serial = ++d->serial;
    d->origin.resource_shape = d->shape;
    d->origin.resource_cut = d->cut;
    const uint64_t lost = d->lost;
    if (verdict == OK) read_service(d, &d->pairs);
    const ranges of_resource = d->pairs;
    d->pairs = d->resource_pairs;
    d->resource_pairs = of_resource;
    d->origin.service_hash = hash_bytes(d->origin.service.data, d->origin.service.size, hash_secret);
    const chunk *joined = d->joined;
    d->origin.resource_hash = hash_bytes(d->origin.resource.data, d->origin.resource.size, 0) ^ lost;
    for (bytes n = f.range; next_field(&n, &g) > 0;) {
      if (!IS(g, 2, LENGTH)) continue;
      if (read_scope(d, g.range, verdict, read, count, item) == MALFORMED) return MALFORMED;
      drop_joined(d, joined);
    }
    drop_joined(d, NULL);
  }
  return OK;
}

void put_origin(decoder *d, size_t number) {
  table *t = &d->tables[number];
  uint32_t *words = d->seen[number].words;
  const origin *o = &d->origin;
  if (d->seen[number].origin != o->serial) {
    const bytes texts[ORIGIN_WORDS] = {buffer_bytes(&o->service), buffer_bytes(&o->resource), o->scope_name,
                                       o->scope_version, buffer_bytes(&o->scope_attributes), o->resource_url, o->scope_url};
    // A resource's texts are looked up once: it may be large, and its scopes many.
    static const bool of_resource[ORIGIN_WORDS] = {[0] = true, [1] = true, [5] = true};
    bool met = d->seen[number].resource == o->resource_serial;
    for (size_t i = 0; i < ORIGIN_WORDS; i++)
      if (!(met && of_resource[i])) words[i] = word(t, C_SERVICE + i, texts[i]);
    d->seen[number].origin = o->serial;
    d->seen[number].resource = o->resource_serial;
  }
  put(t, C_ORGANIZATION, d->owner.organization_id, 16);
  put(t, C_WORKSPACE, d->owner.workspace_id, 16);
  put(t, C_TENANT, d->owner.tenant_id, 16);
  put_u16(t, C_RETENTION, (uint16_t)d->owner.retention_days);
  for (size_t i = 0; i < ORIGIN_WORDS; i++) put_u32(t, C_SERVICE + i, words[i]);
  if (d->signal != METRICS) {
    put_u32(t, C_RESOURCE_DROPPED, o->resource_dropped);
    put_u32(t, C_SCOPE_DROPPED, o->scope_dropped);
  }
}
