// Spans. A span needs its two ids and a time; its parent's id may be missing.
#include "decoder.h"
#include "rows/emit.h"
#include "rows/signals.h"
#include "values/attributes.h"
#include "values/utf8.h"

#define SPAN_COLUMNS(COLUMN)                                                                                           \
  COLUMN(TIMESTAMP, "timestamp", AS_TIME)                                                                              \
  COLUMN(TRACE_ID, "trace_id", AS_BYTES(16))                                                                           \
  COLUMN(SPAN_ID, "span_id", AS_BYTES(8))                                                                              \
  COLUMN(PARENT_SPAN_ID, "parent_span_id", AS_BYTES(8))                                                                \
  COLUMN(TRACE_STATE, "trace_state", AS_WORD)                                                                          \
  COLUMN(FLAGS, "flags", AS_U32)                                                                                       \
  COLUMN(SPAN_NAME, "span_name", AS_WORD)                                                                              \
  COLUMN(SPAN_KIND, "span_kind",                                                                                       \
         AS_ENUM("'unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5"))     \
  COLUMN(ATTRIBUTES, "span_attributes_json", AS_TEXT)                                                                  \
  COLUMN(TYPED_ATTRIBUTES, "span_attributes_typed", AS_OBJECT)                                                         \
  COLUMN(DURATION, "duration_nano", AS_U64)                                                                            \
  COLUMN(STATUS_CODE, "status_code", AS_ENUM("'unset' = 0, 'ok' = 1, 'error' = 2"))                                    \
  COLUMN(STATUS_MESSAGE, "status_message", AS_WORD)                                                                    \
  COLUMN(DROPPED_ATTRIBUTES, "dropped_attributes_count", AS_U32)                                                       \
  COLUMN(DROPPED_EVENTS, "dropped_events_count", AS_U32)                                                               \
  COLUMN(DROPPED_LINKS, "dropped_links_count", AS_U32)                                                                 \
  COLUMN(EVENT_TIME, "events.timestamp", AS_TIME_LIST)                                                                 \
  COLUMN(EVENT_NAME, "events.name", AS_TEXT_LIST)                                                                      \
  COLUMN(EVENT_ATTRIBUTES, "events.attributes", AS_TEXT_LIST)                                                          \
  COLUMN(EVENT_DROPPED, "events.dropped_attributes_count", AS_U32_LIST)                                                \
  COLUMN(LINK_TRACE, "links.trace_id", AS_BYTES_LIST(16))                                                              \
  COLUMN(LINK_SPAN, "links.span_id", AS_BYTES_LIST(8))                                                                 \
  COLUMN(LINK_STATE, "links.trace_state", AS_TEXT_LIST)                                                                \
  COLUMN(LINK_ATTRIBUTES, "links.attributes", AS_TEXT_LIST)                                                            \
  COLUMN(LINK_DROPPED, "links.dropped_attributes_count", AS_U32_LIST)                                                  \
  COLUMN(LINK_FLAGS, "links.flags", AS_U32_LIST)
enum { BEFORE_SPAN_COLUMNS = FULL_ORIGIN_END - 1, SPAN_COLUMNS(COLUMN_ID) COLUMNS, LISTS = EVENT_TIME };
static const column_spec SPANS[] = {FULL_ORIGIN_COLUMNS(COLUMN_SPEC) SPAN_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(SPANS, COLUMNS);

typedef struct {
  bytes trace_id, span_id, parent_span_id, trace_state, name, status, status_message;
  uint64_t start, end, kind, dropped_attributes, dropped_events, dropped_links, flags, status_code;
  bool is_refused;
} span;

static int read_fields(decoder *d, bytes message, span *s) {
  field f;
  int more;
  unsigned statuses = 0;
  *s = (span){.trace_id = no_bytes(), .span_id = no_bytes(), .parent_span_id = no_bytes(), .trace_state = no_bytes(), .name = no_bytes(),
              .status = no_bytes(), .status_message = no_bytes()};
  ranges_clear(&d->pairs);
  ranges_clear(&d->events);
  ranges_clear(&d->links);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_SPAN_TRACE_ID: s->trace_id = f.range; break;
      case TAG_SPAN_SPAN_ID: s->span_id = f.range; break;
      case TAG_SPAN_TRACE_STATE: s->trace_state = f.range; break;
      case TAG_SPAN_PARENT_SPAN_ID: s->parent_span_id = f.range; break;
      case TAG_SPAN_NAME: s->name = f.range; break;
      case TAG_SPAN_KIND: s->kind = f.value; break;
      case TAG_SPAN_START_TIME_UNIX_NANO: s->start = f.value; break;
      case TAG_SPAN_END_TIME_UNIX_NANO: s->end = f.value; break;
      case TAG_SPAN_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_SPAN_DROPPED_ATTRIBUTES_COUNT: s->dropped_attributes = f.value; break;
      case TAG_SPAN_EVENTS:
        if (add_range(d, &d->events, f.range, MESSAGE_SPAN_EVENT) == MALFORMED) return MALFORMED;
        break;
      case TAG_SPAN_DROPPED_EVENTS_COUNT: s->dropped_events = f.value; break;
      case TAG_SPAN_LINKS:
        if (add_range(d, &d->links, f.range, MESSAGE_SPAN_LINK) == MALFORMED) return MALFORMED;
        break;
      case TAG_SPAN_DROPPED_LINKS_COUNT: s->dropped_links = f.value; break;
      case TAG_SPAN_STATUS:
        s->status = f.range;
        statuses++;
        break;
      case TAG_SPAN_FLAGS: s->flags = f.value; break;
      case TAG_REFUSED: s->is_refused = true; break;
      default: break;
    }
  }
  if (statuses > 1 && !join(&d->joined, message, FIELD_SPAN_STATUS, MESSAGE_STATUS, &s->status)) return MALFORMED;
  for (bytes m = s->status; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (tag_of(&f) == TAG_STATUS_MESSAGE) s->status_message = f.range;
    if (tag_of(&f) == TAG_STATUS_CODE) s->status_code = f.value;
  }
  return OK;
}

// Appends to the arrays of the row that is being made; a row that is rejected is taken back by the caller.
static int put_event(decoder *d, table *t, bytes message) {
  field f;
  int more;
  uint64_t time = 0, dropped = 0;
  bytes name = no_bytes();
  ranges_clear(&d->inner);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_SPAN_EVENT_TIME_UNIX_NANO: time = as_time(f.value); break;
      case TAG_SPAN_EVENT_NAME: name = f.range; break;
      case TAG_SPAN_EVENT_ATTRIBUTES:
        if (add_range(d, &d->inner, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_SPAN_EVENT_DROPPED_ATTRIBUTES_COUNT: dropped = f.value; break;
      default: break;
    }
  }
  int verdict = attributes_json(d, &d->inner, false, &d->text);
  if (verdict != OK) return verdict;
  if (!is_utf8(name)) return INVALID_UTF8;
  dropped = dropped_of(dropped, d->attributes.dropped);
  put_item(t, EVENT_TIME, &time, 8);
  put_item_text(t, EVENT_NAME, name);
  put_item_text(t, EVENT_ATTRIBUTES, buffer_bytes(&d->text));
  put_item(t, EVENT_DROPPED, &dropped, 4);
  return OK;
}

static int put_link(decoder *d, table *t, bytes message) {
  field f;
  int more;
  uint64_t dropped = 0, flags = 0;
  bytes trace_id = no_bytes(), span_id = no_bytes(), state = no_bytes();
  ranges_clear(&d->inner);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_SPAN_LINK_TRACE_ID: trace_id = f.range; break;
      case TAG_SPAN_LINK_SPAN_ID: span_id = f.range; break;
      case TAG_SPAN_LINK_TRACE_STATE: state = f.range; break;
      case TAG_SPAN_LINK_ATTRIBUTES:
        if (add_range(d, &d->inner, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_SPAN_LINK_DROPPED_ATTRIBUTES_COUNT: dropped = f.value; break;
      case TAG_SPAN_LINK_FLAGS: flags = f.value; break;
      default: break;
    }
  }
  int verdict = attributes_json(d, &d->inner, false, &d->text);
  if (verdict != OK) return verdict;
  if (!is_utf8(state)) return INVALID_UTF8;
  dropped = dropped_of(dropped, d->attributes.dropped);
  put_item(t, LINK_TRACE, id_or_none(trace_id, TRACE_ID_SIZE), TRACE_ID_SIZE);
  put_item(t, LINK_SPAN, id_or_none(span_id, SPAN_ID_SIZE), SPAN_ID_SIZE);
  put_item_text(t, LINK_STATE, state);
  put_item_text(t, LINK_ATTRIBUTES, buffer_bytes(&d->text));
  put_item(t, LINK_DROPPED, &dropped, 4);
  put_item(t, LINK_FLAGS, &flags, 4);
  return OK;
}

static bool is_id(bytes id, size_t size) {
  if (length_of(id) != size) return false;
  for (const uint8_t *p = id.at; p < id.end; p++)
    if (*p) return true;
  return false;
}

// Everything is read before anything is judged, so that a malformed message is noticed wherever it is.
static int judge(const decoder *d, const span *s, int verdict) {
  if (verdict != OK) return verdict;
  if (s->is_refused) return INVALID_JSON_VALUE;
  if (!is_id(s->trace_id, TRACE_ID_SIZE) || !is_id(s->span_id, SPAN_ID_SIZE)) return INVALID_ID;
  if (s->start < d->limits.earliest || s->start > d->limits.latest) return TIME_OUT_OF_RANGE;
  if (s->end > d->limits.latest) return TIME_OUT_OF_RANGE;  // a duration from it would not fit where times are
  return is_utf8(s->name) && is_utf8(s->trace_state) && is_utf8(s->status_message) ? OK : INVALID_UTF8;
}

static int put_lists(decoder *d, table *t) {
  int verdict = OK;
  for (size_t i = 0; i < d->events.count; i++) {
    int of_event = put_event(d, t, d->events.items[i]);
    if (of_event == MALFORMED) return MALFORMED;
    if (verdict == OK) verdict = of_event;
  }
  for (size_t i = 0; i < d->links.count; i++) {
    int of_link = put_link(d, t, d->links.items[i]);
    if (of_link == MALFORMED) return MALFORMED;
    if (verdict == OK) verdict = of_link;
  }
  return verdict;
}

static void drop_lists(table *t, const size_t *sizes, const uint64_t *items) {
  for (size_t c = LISTS; c < COLUMNS; c++) {
    t->columns[c].data.size = sizes[c - LISTS];
    t->columns[c].items = items[c - LISTS];
  }
}

static int read_span(decoder *d, bytes message) {
  span s;
  table *t = &d->tables[0];
  d->outcome->items++;
  d->cut = 0;
  if (read_fields(d, message, &s) == MALFORMED) return MALFORMED;
  int verdict = attributes_columns(d, &d->pairs, t->columns[TYPED_ATTRIBUTES].object, &d->json);
  if (verdict == MALFORMED) return MALFORMED;
  const uint64_t schema_hash = d->attributes.schema_hash;
  const size_t dropped = d->attributes.dropped;
  if (d->events.more | d->links.more) d->cut |= 1u << LIST_CUT;
  if (d->events.count | d->links.count) {
    size_t sizes[COLUMNS - LISTS];
    uint64_t items[COLUMNS - LISTS];
    for (size_t c = LISTS; c < COLUMNS; c++) {
      sizes[c - LISTS] = t->columns[c].data.size;
      items[c - LISTS] = t->columns[c].items;
    }
    int of_lists = put_lists(d, t);
    if (of_lists == MALFORMED) return MALFORMED;
    verdict = judge(d, &s, verdict == OK ? of_lists : verdict);
    if (verdict != OK) drop_lists(t, sizes, items);
  } else {
    verdict = judge(d, &s, verdict);
  }
  if (verdict != OK) return reject(d, verdict);
  put_origin(d, 0);
  put_u64(t, TIMESTAMP, s.start);
  put(t, TRACE_ID, s.trace_id.at, 16);
  put(t, SPAN_ID, s.span_id.at, 8);
  put(t, PARENT_SPAN_ID, id_or_none(s.parent_span_id, SPAN_ID_SIZE), SPAN_ID_SIZE);
  put_word(t, TRACE_STATE, s.trace_state);
  put_u32(t, FLAGS, (uint32_t)s.flags);
  put_word(t, SPAN_NAME, s.name);
  put_u8(t, SPAN_KIND, (uint32_t)s.kind <= SPAN_KIND_CONSUMER ? (uint8_t)s.kind : 0);
  put_text(t, ATTRIBUTES, buffer_bytes(&d->json));
  put_object(t, TYPED_ATTRIBUTES, (object_value *)d->typed.values.data, d->typed.values.size / sizeof(object_value));
  put_u64(t, DURATION, s.end > s.start ? s.end - s.start : 0);
  put_u8(t, STATUS_CODE, (uint32_t)s.status_code <= STATUS_CODE_ERROR ? (uint8_t)s.status_code : 0);
  put_word(t, STATUS_MESSAGE, s.status_message);
  put_u32(t, DROPPED_ATTRIBUTES, dropped_of(s.dropped_attributes, dropped));
  put_u32(t, DROPPED_EVENTS, dropped_of(s.dropped_events, d->events.more));
  put_u32(t, DROPPED_LINKS, dropped_of(s.dropped_links, d->links.more));
  for (size_t c = LISTS; c < COLUMNS; c++) end_array(t, c);
  count_stored(d, t);
  catalogue_item(d, s.start, schema_hash, &s.name);
  return OK;
}

static const char *const KINDS[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
static const char *const STATUSES[] = {"unset", "ok", "error"};
static const counted_field COUNTED[] = {
    {"service", C_SERVICE, NULL, 0},   {"scope", C_SCOPE_NAME, NULL, 0},          {"name", SPAN_NAME, NULL, 0},
    {"kind", SPAN_KIND, KINDS, 6},     {"status", STATUS_CODE, STATUSES, 3},      {"status_message", STATUS_MESSAGE, NULL, 0},
};

bool traces_open(decoder *d) {
  static const counted_columns counted = {TIMESTAMP, TYPED_ATTRIBUTES, COUNTED, sizeof COUNTED / sizeof *COUNTED};
  d->table_count = 1;
  return table_open(&d->tables[0], "traces_v3", SPANS, COLUMNS) && field_values_open(d, &counted);
}

int traces_read(decoder *d, bytes request) { return read_request(d, request, read_span, count_one, MESSAGE_SPAN); }
