#include "rows/exemplars.h"

#include <math.h>

#include "rows/emit.h"
#include "values/attributes.h"

#define EXEMPLAR_COLUMNS(COLUMN)                \
  COLUMN(X_TIME, "timestamp", AS_TIME)          \
  COLUMN(X_METRIC, "metric_name", AS_WORD)      \
  COLUMN(X_SERVICE, "service_name", AS_WORD)    \
  COLUMN(X_TRACE, "trace_id", AS_BYTES(16))     \
  COLUMN(X_SPAN, "span_id", AS_BYTES(8))        \
  COLUMN(X_VALUE, "value", AS_F64)              \
  COLUMN(X_REST, "value_rest", AS_I16)          \
  COLUMN(X_ATTRIBUTES, "attributes", AS_TEXT)
enum { BEFORE_EXEMPLAR_COLUMNS = OWNER_END - 1, EXEMPLAR_COLUMNS(COLUMN_ID) X_COLUMNS };
static const column_spec COLUMNS[] = {OWNER_COLUMNS(COLUMN_SPEC) EXEMPLAR_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(COLUMNS, X_COLUMNS);

bool exemplars_open(decoder *d) { return table_open(&d->tables[EXEMPLARS], "exemplars_v3", COLUMNS, X_COLUMNS); }

int read_exemplar(decoder *d, bytes message, exemplar *e) {
  field f;
  int more;
  *e = (exemplar){.trace_id = no_bytes(), .span_id = no_bytes(), .value = NAN};
  ranges_clear(&d->inner);
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return MALFORMED;
    switch (tag_of(&f)) {
      case TAG_EXEMPLAR_TIME_UNIX_NANO: e->time = f.value; break;
      case TAG_EXEMPLAR_AS_DOUBLE:
        e->value = as_double(f.value);
        e->rest = 0;
        break;
      case TAG_EXEMPLAR_SPAN_ID: e->span_id = f.range; break;
      case TAG_EXEMPLAR_TRACE_ID: e->trace_id = f.range; break;
      case TAG_EXEMPLAR_AS_INT:
        e->value = (double)(int64_t)f.value;
        e->rest = rest_of((int64_t)f.value);
        break;
      case TAG_EXEMPLAR_FILTERED_ATTRIBUTES:
        if (add_range(d, &d->inner, f.range, MESSAGE_KEY_VALUE) == MALFORMED) return MALFORMED;
        break;
      default: break;
    }
  }
  return attributes_json(d, &d->inner, false, &d->text);
}

int check_each_exemplar(decoder *d) {
  int verdict = OK;
  exemplar e;
  if (d->events.more) d->cut |= 1u << LIST_CUT;
  for (size_t i = 0; i < d->events.count; i++) {
    int of_exemplar = read_exemplar(d, d->events.items[i], &e);
    if (of_exemplar == MALFORMED) return MALFORMED;
    if (verdict == OK) verdict = of_exemplar;
  }
  return verdict;
}

// One that is out of time takes its point's, so that it cannot open a partition of its own.
void put_exemplars(decoder *d, const metric *m, const point *p, table *lists) {
  table *t = &d->tables[EXEMPLARS];
  if (d->events.count && d->seen[EXEMPLARS].metric != d->serial) {
    d->seen[EXEMPLARS].metric = d->serial;
    d->seen[EXEMPLARS].metric_name = word(t, X_METRIC, m->name);
    if (d->seen[EXEMPLARS].resource != d->origin.resource_serial)
      d->seen[EXEMPLARS].words[0] = word(t, X_SERVICE, buffer_bytes(&d->origin.service));
    d->seen[EXEMPLARS].resource = d->origin.resource_serial;
  }
  for (size_t i = 0; i < d->events.count; i++) {
    exemplar e;
    read_exemplar(d, d->events.items[i], &e);
    if (e.time < d->limits.earliest || e.time > d->limits.latest) e.time = p->time;
    bytes attributes = buffer_bytes(&d->text);
    put_owner(d, t);
    put_u64(t, X_TIME, e.time);
    put_u32(t, X_METRIC, d->seen[EXEMPLARS].metric_name);
    put_u32(t, X_SERVICE, d->seen[EXEMPLARS].words[0]);
    put(t, X_TRACE, id_or_none(e.trace_id, TRACE_ID_SIZE), TRACE_ID_SIZE);
    put(t, X_SPAN, id_or_none(e.span_id, SPAN_ID_SIZE), SPAN_ID_SIZE);
    put(t, X_VALUE, &e.value, 8);
    put_u16(t, X_REST, e.rest);
    put_text(t, X_ATTRIBUTES, attributes);
    t->rows++;
    if (!lists) continue;
    put_item(lists, L_EX_TIME, &e.time, 8);
    put_item(lists, L_EX_VALUE, &e.value, 8);
    put_item(lists, L_EX_TRACE, id_or_none(e.trace_id, TRACE_ID_SIZE), TRACE_ID_SIZE);
    put_item(lists, L_EX_SPAN, id_or_none(e.span_id, SPAN_ID_SIZE), SPAN_ID_SIZE);
    put_item_text(lists, L_EX_ATTRIBUTES, attributes);
  }
  for (size_t c = L_EX_TIME; lists && c <= L_EX_ATTRIBUTES; c++) end_array(lists, c);
}
