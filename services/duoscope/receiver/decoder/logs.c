// Log records. A record without a time takes the one it was observed at, or that of its arrival; its ids may be missing.
#include "decoder.h"

enum {
  TIMESTAMP = FULL_ORIGIN_END, OBSERVED, TRACE_ID, SPAN_ID, TRACE_FLAGS, SEVERITY_TEXT, SEVERITY_NUMBER, BODY, BODY_KIND,
  ATTRIBUTES, EVENT_NAME, DROPPED_ATTRIBUTES, COLUMNS
};

static const column_spec RECORDS[COLUMNS] = {
    FULL_ORIGIN_COLUMNS,
    {"timestamp", TIME_TYPE, FIXED, 8, 0},
    {"observed_after", "Int64", FIXED, 8, 0},
    {"trace_id", "FixedString(16)", FIXED, 16, 0},
    {"span_id", "FixedString(8)", FIXED, 8, 0},
    {"trace_flags", "UInt32", FIXED, 4, 0},
    DICT("severity_text"),
    {"severity_number", "UInt8", FIXED, 1, 0},
    {"body", "String", TEXT, 0, 0},
    {"body_kind",
     "Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, "
     "'kvlist_value' = 6, 'bytes_value' = 7)",
     FIXED, 1, 0},
    {"log_attributes_json", "String", TEXT, 0, 0},
    DICT("event_name"),
    {"dropped_attributes_count", "UInt32", FIXED, 4, 0},
};

typedef struct {
  bytes severity_text, body, trace_id, span_id, event_name;
  uint64_t time, observed, severity_number, dropped_attributes, flags;
  bool is_refused;
} record;

static const uint8_t nothing;
#define EMPTY (bytes){&nothing, &nothing}

static int read_fields(decoder *d, bytes message, record *r) {
  field f;
  int more;
  unsigned bodies = 0;
  *r = (record){.severity_text = EMPTY, .body = EMPTY, .trace_id = EMPTY, .span_id = EMPTY, .event_name = EMPTY};
  ranges_clear(&d->pairs);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (f.number << 3 | f.type) {
      case 1 << 3 | FIXED64: r->time = f.value; break;
      case 2 << 3 | VARINT: r->severity_number = f.value; break;
      case 3 << 3 | LENGTH: r->severity_text = f.range; break;
      case 5 << 3 | LENGTH:
        r->body = f.range;
        bodies++;
        break;
      case 6 << 3 | LENGTH:
        if (ranges_add(d, &d->pairs, f.range, A_PAIR) == MALFORMED) return MALFORMED;
        break;
      case 7 << 3 | VARINT: r->dropped_attributes = f.value; break;
      case 8 << 3 | FIXED32: r->flags = f.value; break;
      case 9 << 3 | LENGTH: r->trace_id = f.range; break;
      case 10 << 3 | LENGTH: r->span_id = f.range; break;
      case 11 << 3 | FIXED64: r->observed = f.value; break;
      case 12 << 3 | LENGTH: r->event_name = f.range; break;
      case REFUSED << 3 | VARINT: r->is_refused = true; break;
      default: break;
    }
  }
  return bodies > 1 && !join(d, message, 5, A_VALUE, &r->body) ? MALFORMED : OK;
}

static int read_record(decoder *d, bytes message) {
  record r;
  uint8_t kind = 0;
  table *t = &d->tables[0];
  d->outcome->items++;
  d->cut = 0;
  if (read_fields(d, message, &r) == MALFORMED) return MALFORMED;
  int verdict = attributes_json(d, &d->pairs, false, &d->json);
  if (verdict == MALFORMED) return MALFORMED;
  const uint64_t shape = d->shape;
  const size_t dropped = d->dropped;
  int of_body = body_text(d, r.body, d->limits.body_bytes_max, &d->text, &kind);
  if (of_body == MALFORMED) return MALFORMED;
  if (verdict == OK) verdict = of_body;
  if (r.is_refused) verdict = INVALID_JSON_VALUE;
  uint64_t time = r.time ? r.time : r.observed ? r.observed : d->limits.now;
  if (verdict == OK && (time < d->limits.earliest || time > d->limits.latest)) verdict = TIME_OUT_OF_RANGE;
  if (verdict == OK && !(is_utf8(r.severity_text) && is_utf8(r.event_name))) verdict = INVALID_UTF8;
  if (verdict != OK) return reject(d, verdict);
  put_origin(d, 0);
  put_u64(t, TIMESTAMP, time);
  put_u64(t, OBSERVED, r.observed ? as_time(r.observed) - time : UNSET);
  put(t, TRACE_ID, id_or_none(r.trace_id, 16), 16);
  put(t, SPAN_ID, id_or_none(r.span_id, 8), 8);
  put_u32(t, TRACE_FLAGS, (uint32_t)r.flags);
  put_word(t, SEVERITY_TEXT, r.severity_text);
  put_u8(t, SEVERITY_NUMBER, (uint32_t)r.severity_number <= 24 ? (uint8_t)r.severity_number : 0);
  put_text(t, BODY, buffer_bytes(&d->text));
  put_u8(t, BODY_KIND, kind);
  put_text(t, ATTRIBUTES, buffer_bytes(&d->json));
  put_word(t, EVENT_NAME, r.event_name);
  put_u32(t, DROPPED_ATTRIBUTES, dropped_of(r.dropped_attributes, dropped));
  t->rows++;
  d->outcome->stored++;
  count_cuts(d);
  catalogue_item(d, time, shape, NULL);
  return OK;
}

static int one(bytes item, uint64_t *count) {
  (void)item;
  *count = 1;
  return OK;
}

bool logs_open(decoder *d) {
  d->table_count = 1;
  return table_open(&d->tables[0], "logs_v3", RECORDS, COLUMNS);
}

int logs_read(decoder *d, bytes request) { return read_request(d, request, read_record, one, A_RECORD); }
