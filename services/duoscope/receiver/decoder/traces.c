// Spans. A span needs its two ids and a time; its parent's id may be missing.
#include "decoder.h"

enum {
  TIMESTAMP = FULL_ORIGIN_END, TRACE_ID, SPAN_ID, PARENT_SPAN_ID, TRACE_STATE, FLAGS, SPAN_NAME, SPAN_KIND, ATTRIBUTES,
  DURATION, STATUS_CODE, STATUS_MESSAGE, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS, EVENT_TIME, EVENT_NAME,
  EVENT_ATTRIBUTES, EVENT_DROPPED, LINK_TRACE, LINK_SPAN, LINK_STATE, LINK_ATTRIBUTES, LINK_DROPPED, LINK_FLAGS, COLUMNS
};

static const column_spec SPANS[COLUMNS] = {
    FULL_ORIGIN_COLUMNS,
    {"timestamp", TIME_TYPE, FIXED, 8, 0},
    {"trace_id", "FixedString(16)", FIXED, 16, 0},
    {"span_id", "FixedString(8)", FIXED, 8, 0},
    {"parent_span_id", "FixedString(8)", FIXED, 8, 0},
    DICT("trace_state"),
    {"flags", "UInt32", FIXED, 4, 0},
    DICT("span_name"),
    {"span_kind", "Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5)",
     FIXED, 1, 0},
    {"span_attributes_json", "String", TEXT, 0, 0},
    {"duration_nano", "UInt64", FIXED, 8, 0},
    {"status_code", "Enum8('unset' = 0, 'ok' = 1, 'error' = 2)", FIXED, 1, 0},
    DICT("status_message"),
    {"dropped_attributes_count", "UInt32", FIXED, 4, 0},
    {"dropped_events_count", "UInt32", FIXED, 4, 0},
    {"dropped_links_count", "UInt32", FIXED, 4, 0},
    {"events.timestamp", "Array(" TIME_TYPE ")", ARRAY_OF_FIXED, 8, 0},
    {"events.name", "Array(String)", ARRAY_OF_TEXT, 0, 0},
    {"events.attributes", "Array(String)", ARRAY_OF_TEXT, 0, 0},
    {"events.dropped_attributes_count", "Array(UInt32)", ARRAY_OF_FIXED, 4, 0},
    {"links.trace_id", "Array(FixedString(16))", ARRAY_OF_FIXED, 16, 0},
    {"links.span_id", "Array(FixedString(8))", ARRAY_OF_FIXED, 8, 0},
    {"links.trace_state", "Array(String)", ARRAY_OF_TEXT, 0, 0},
    {"links.attributes", "Array(String)", ARRAY_OF_TEXT, 0, 0},
    {"links.dropped_attributes_count", "Array(UInt32)", ARRAY_OF_FIXED, 4, 0},
    {"links.flags", "Array(UInt32)", ARRAY_OF_FIXED, 4, 0},
};

typedef struct {
  bytes trace_id, span_id, parent_span_id, trace_state, name, status, status_message;
  uint64_t start, end, kind, dropped_attributes, dropped_events, dropped_links, flags, status_code;
  bool is_refused;
} span;

static const uint8_t nothing;
#define EMPTY (bytes){&nothing, &nothing}

static int read_fields(decoder *d, bytes message, span *s) {
  field f;
  int more;
  unsigned statuses = 0;
  *s = (span){.trace_id = EMPTY, .span_id = EMPTY, .parent_span_id = EMPTY, .trace_state = EMPTY, .name = EMPTY,
              .status = EMPTY, .status_message = EMPTY};
  ranges_clear(&d->pairs);
  ranges_clear(&d->events);
  ranges_clear(&d->links);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 1 << 3 | LENGTH: s->trace_id = f.range; break;
      case 2 << 3 | LENGTH: s->span_id = f.range; break;
      case 3 << 3 | LENGTH: s->trace_state = f.range; break;
      case 4 << 3 | LENGTH: s->parent_span_id = f.range; break;
      case 5 << 3 | LENGTH: s->name = f.range; break;
      case 6 << 3 | VARINT: s->kind = f.value; break;
      case 7 << 3 | FIXED64: s->start = f.value; break;
      case 8 << 3 | FIXED64: s->end = f.value; break;
      case 9 << 3 | LENGTH:
        if (ranges_add(d, &d->pairs, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      case 10 << 3 | VARINT: s->dropped_attributes = f.value; break;
      case 11 << 3 | LENGTH:
        if (ranges_add(d, &d->events, f.range, A_EVENT) == MALFORMED) return MALFORMED;
        break;
      case 12 << 3 | VARINT: s->dropped_events = f.value; break;
      case 13 << 3 | LENGTH:
        if (ranges_add(d, &d->links, f.range, A_LINK) == MALFORMED) return MALFORMED;
        break;
      case 14 << 3 | VARINT: s->dropped_links = f.value; break;
      case 15 << 3 | LENGTH:
        s->status = f.range;
        statuses++;
        break;
      case 16 << 3 | FIXED32: s->flags = f.value; break;
      case REFUSED << 3 | VARINT: s->is_refused = true; break;
      default: break;
    }
  }
  if (statuses > 1 && !join(d, message, 15, A_LEAF, &s->status)) return MALFORMED;
  for (bytes m = s->status; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    if (IS(f, 2, LENGTH)) s->status_message = f.range;
    if (IS(f, 3, VARINT)) s->status_code = f.value;
  }
  return OK;
}

// Appends to the arrays of the row that is being made; a row that is rejected is taken back by the caller.
static int put_event(decoder *d, table *t, bytes message) {
  field f;
  int more;
  uint64_t time = 0, dropped = 0;
  bytes name = EMPTY;
  ranges_clear(&d->inner);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 1 << 3 | FIXED64: time = as_time(f.value); break;
      case 2 << 3 | LENGTH: name = f.range; break;
      case 3 << 3 | LENGTH:
        if (ranges_add(d, &d->inner, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      case 4 << 3 | VARINT: dropped = f.value; break;
      default: break;
    }
  }
  int verdict = attributes_json(d, &d->inner, false, &d->text);
  if (verdict != OK) return verdict;
  if (!is_utf8(name)) return INVALID_UTF8;
  dropped = dropped_of(dropped, d->dropped);
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
  bytes trace_id = EMPTY, span_id = EMPTY, state = EMPTY;
  ranges_clear(&d->inner);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 1 << 3 | LENGTH: trace_id = f.range; break;
      case 2 << 3 | LENGTH: span_id = f.range; break;
      case 3 << 3 | LENGTH: state = f.range; break;
      case 4 << 3 | LENGTH:
        if (ranges_add(d, &d->inner, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      case 5 << 3 | VARINT: dropped = f.value; break;
      case 6 << 3 | FIXED32: flags = f.value; break;
      default: break;
    }
  }
  int verdict = attributes_json(d, &d->inner, false, &d->text);
  if (verdict != OK) return verdict;
  if (!is_utf8(state)) return INVALID_UTF8;
  dropped = dropped_of(dropped, d->dropped);
  put_item(t, LINK_TRACE, id_or_none(trace_id, 16), 16);
  put_item(t, LINK_SPAN, id_or_none(span_id, 8), 8);
  put_item_text(t, LINK_STATE, state);
  put_item_text(t, LINK_ATTRIBUTES, buffer_bytes(&d->text));
  put_item(t, LINK_DROPPED, &dropped, 4);
  put_item(t, LINK_FLAGS, &flags, 4);
  return OK;
}

// Everything is read before anything is judged, so that a malformed message is noticed wherever it is.
static int judge(const decoder *d, const span *s, int verdict) {
  if (verdict != OK) return verdict;
  if (s->is_refused) return INVALID_JSON_VALUE;
  if (!has_byte(s->trace_id, 16) || !has_byte(s->span_id, 8)) return INVALID_ID;
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
  for (size_t c = EVENT_TIME; c < COLUMNS; c++) {
    t->columns[c].data.size = sizes[c - EVENT_TIME];
    t->columns[c].items = items[c - EVENT_TIME];
  }
}

static int read_span(decoder *d, bytes message) {
  span s;
  table *t = &d->tables[0];
  d->outcome->items++;
  d->cut = 0;
  if (read_fields(d, message, &s) == MALFORMED) return MALFORMED;
  int verdict = attributes_json(d, &d->pairs, false, &d->json);
  if (verdict == MALFORMED) return MALFORMED;
  const uint64_t shape = d->shape;
  const size_t dropped = d->dropped;
  if (d->events.more | d->links.more) d->cut |= 1u << LIST_CUT;
  if (d->events.count | d->links.count) {
    size_t sizes[COLUMNS - EVENT_TIME];
    uint64_t items[COLUMNS - EVENT_TIME];
    for (size_t c = EVENT_TIME; c < COLUMNS; c++) {
      sizes[c - EVENT_TIME] = t->columns[c].data.size;
      items[c - EVENT_TIME] = t->columns[c].items;
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
  put(t, PARENT_SPAN_ID, id_or_none(s.parent_span_id, 8), 8);
  put_word(t, TRACE_STATE, s.trace_state);
  put_u32(t, FLAGS, (uint32_t)s.flags);
  put_word(t, SPAN_NAME, s.name);
  put_u8(t, SPAN_KIND, (uint32_t)s.kind <= 5 ? (uint8_t)s.kind : 0);
  put_text(t, ATTRIBUTES, buffer_bytes(&d->json));
  put_u64(t, DURATION, s.end > s.start ? s.end - s.start : 0);
  put_u8(t, STATUS_CODE, (uint32_t)s.status_code <= 2 ? (uint8_t)s.status_code : 0);
  put_word(t, STATUS_MESSAGE, s.status_message);
  put_u32(t, DROPPED_ATTRIBUTES, dropped_of(s.dropped_attributes, dropped));
  put_u32(t, DROPPED_EVENTS, dropped_of(s.dropped_events, d->events.more));
  put_u32(t, DROPPED_LINKS, dropped_of(s.dropped_links, d->links.more));
  for (size_t c = EVENT_TIME; c < COLUMNS; c++) end_array(t, c);
  t->rows++;
  d->outcome->stored++;
  count_cuts(d);
  catalogue_item(d, s.start, shape, &s.name);
  return OK;
}

static int one(bytes item, uint64_t *count) {
  (void)item;
  *count = 1;
  return OK;
}

bool traces_open(decoder *d) {
  d->table_count = 1;
  return table_open(&d->tables[0], "traces_v3", SPANS, COLUMNS);
}

int traces_read(decoder *d, bytes request) { return read_request(d, request, read_span, one, A_SPAN); }
