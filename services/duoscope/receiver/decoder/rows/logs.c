// Log records. A record without a time takes the one it was observed at, or that of its arrival; its ids may be missing.
#include "decoder.h"
#include "rows/emit.h"
#include "rows/signals.h"
#include "values/attributes.h"
#include "values/body.h"
#include "values/utf8.h"

#define RECORD_COLUMNS(COLUMN)                                                                                         \
  COLUMN(TIMESTAMP, "timestamp", AS_TIME)                                                                              \
  COLUMN(OBSERVED, "observed_after", AS_I64)                                                                           \
  COLUMN(TRACE_ID, "trace_id", AS_BYTES(16))                                                                           \
  COLUMN(SPAN_ID, "span_id", AS_BYTES(8))                                                                              \
  COLUMN(TRACE_FLAGS, "trace_flags", AS_U32)                                                                           \
  COLUMN(SEVERITY_TEXT, "severity_text", AS_WORD)                                                                      \
  COLUMN(SEVERITY_NUMBER, "severity_number", AS_U8)                                                                    \
  COLUMN(BODY, "body", AS_TEXT)                                                                                        \
  COLUMN(BODY_KIND, "body_kind",                                                                                       \
         AS_ENUM("'none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, "             \
                 "'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7"))                                          \
  COLUMN(ATTRIBUTES, "log_attributes_json", AS_TEXT)                                                                   \
  COLUMN(TYPED_ATTRIBUTES, "log_attributes_typed", AS_OBJECT)                                                          \
  COLUMN(EVENT_NAME, "event_name", AS_WORD)                                                                            \
  COLUMN(DROPPED_ATTRIBUTES, "dropped_attributes_count", AS_U32)
enum { BEFORE_RECORD_COLUMNS = FULL_ORIGIN_END - 1, RECORD_COLUMNS(COLUMN_ID) COLUMNS };
static const column_spec RECORDS[] = {FULL_ORIGIN_COLUMNS(COLUMN_SPEC) RECORD_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(RECORDS, COLUMNS);

typedef struct {
  bytes severity_text, body, trace_id, span_id, event_name;
  uint64_t time, observed, severity_number, dropped_attributes, flags;
  bool is_refused;
} record;

static int read_fields(decoder *d, bytes message, record *r) {
  field f;
  int more;
  unsigned bodies = 0;
  *r = (record){.severity_text = no_bytes(), .body = no_bytes(), .trace_id = no_bytes(), .span_id = no_bytes(), .event_name = no_bytes()};
  ranges_clear(&d->pairs);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_LOG_RECORD_TIME_UNIX_NANO: r->time = f.value; break;
      case TAG_LOG_RECORD_SEVERITY_NUMBER: r->severity_number = f.value; break;
      case TAG_LOG_RECORD_SEVERITY_TEXT: r->severity_text = f.range; break;
      case TAG_LOG_RECORD_BODY:
        r->body = f.range;
        bodies++;
        break;
      case TAG_LOG_RECORD_ATTRIBUTES:
        if (add_range(d, &d->pairs, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      case TAG_LOG_RECORD_DROPPED_ATTRIBUTES_COUNT: r->dropped_attributes = f.value; break;
      case TAG_LOG_RECORD_FLAGS: r->flags = f.value; break;
      case TAG_LOG_RECORD_TRACE_ID: r->trace_id = f.range; break;
      case TAG_LOG_RECORD_SPAN_ID: r->span_id = f.range; break;
      case TAG_LOG_RECORD_OBSERVED_TIME_UNIX_NANO: r->observed = f.value; break;
      case TAG_LOG_RECORD_EVENT_NAME: r->event_name = f.range; break;
      case TAG_REFUSED: r->is_refused = true; break;
      default: break;
    }
  }
  return bodies > 1 && !join(&d->joined, message, FIELD_LOG_RECORD_BODY, MESSAGE_ANY_VALUE, &r->body) ? MALFORMED : OK;
}

static int read_record(decoder *d, bytes message) {
  record r;
  uint8_t kind = 0;
  table *t = &d->tables[0];
  d->outcome->items++;
  d->cut = 0;
  if (read_fields(d, message, &r) == MALFORMED) return MALFORMED;
  int verdict = attributes_columns(d, &d->pairs, t->columns[TYPED_ATTRIBUTES].object, &d->json);
  if (verdict == MALFORMED) return MALFORMED;
  const uint64_t schema_hash = d->attributes.schema_hash;
  const size_t dropped = d->attributes.dropped;
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
  put(t, TRACE_ID, id_or_none(r.trace_id, TRACE_ID_SIZE), TRACE_ID_SIZE);
  put(t, SPAN_ID, id_or_none(r.span_id, SPAN_ID_SIZE), SPAN_ID_SIZE);
  put_u32(t, TRACE_FLAGS, (uint32_t)r.flags);
  put_word(t, SEVERITY_TEXT, r.severity_text);
  put_u8(t, SEVERITY_NUMBER, (uint32_t)r.severity_number <= SEVERITY_NUMBER_FATAL4 ? (uint8_t)r.severity_number : 0);
  put_text(t, BODY, buffer_bytes(&d->text));
  put_u8(t, BODY_KIND, kind);
  put_text(t, ATTRIBUTES, buffer_bytes(&d->json));
  put_object(t, TYPED_ATTRIBUTES, (object_value *)d->typed.values.data, d->typed.values.size / sizeof(object_value));
  put_word(t, EVENT_NAME, r.event_name);
  put_u32(t, DROPPED_ATTRIBUTES, dropped_of(r.dropped_attributes, dropped));
  count_stored(d, t);
  catalogue_item(d, time, schema_hash, NULL);
  return OK;
}

#define FOUR(name) name, name, name, name
static const char *const SEVERITIES[] = {NULL, FOUR("trace"), FOUR("debug"), FOUR("info"), FOUR("warn"), FOUR("error"), FOUR("fatal")};
static const counted_field COUNTED[] = {
    {"service", C_SERVICE, NULL, 0},
    {"scope", C_SCOPE_NAME, NULL, 0},
    {"severity", SEVERITY_NUMBER, SEVERITIES, sizeof SEVERITIES / sizeof *SEVERITIES},
    {"severity_text", SEVERITY_TEXT, NULL, 0},
    {"event", EVENT_NAME, NULL, 0},
};

bool logs_open(decoder *d) {
  static const counted_columns counted = {TIMESTAMP, TYPED_ATTRIBUTES, COUNTED, sizeof COUNTED / sizeof *COUNTED};
  d->table_count = 1;
  return table_open(&d->tables[0], "logs_v3", RECORDS, COLUMNS) && field_values_open(d, &counted);
}

int logs_read(decoder *d, bytes request) { return read_request(d, request, read_record, count_one, MESSAGE_LOG_RECORD); }
