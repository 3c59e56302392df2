// Walks an OTLP/JSON text by the table of fields and writes the same message in the wire format.
//
// It is ProtoJSON with the differences that OTLP makes: ids are hex in any case, enums are numbers (names are taken too),
// fields nobody knows are passed over. A field that is given twice, in whatever spelling, is a fault: which one counts
// would be anyone's guess. tests/decoder/test_json.py holds it against google.protobuf and lists where it is stricter.
//
// A fault costs what it costs in protobuf, and never the whole request unless the text is no JSON: the member is passed
// over, and the nearest message around it that the decoder judges says REFUSED. What should have held items and does not
// becomes one refused item, so that it is counted. Texts are copied whatever they are, ids that are none are left out:
// the decoder judges both.
#include <stdio.h>
#include <stdlib.h>

#include "json/scalars.h"
#include "json/tokens.h"
#include "json/wire_writer.h"
#include "types.h"

static const enum otlp_message REQUEST_OF[] = {
    [TRACES] = MESSAGE_EXPORT_TRACE_SERVICE_REQUEST,
    [LOGS] = MESSAGE_EXPORT_LOGS_SERVICE_REQUEST,
    [METRICS] = MESSAGE_EXPORT_METRICS_SERVICE_REQUEST,
};

static bool put_mark(json *j) {
  if (!json_has_room(j, TAG_MAX + 1)) return false;
  json_put_varint(j, TAG_REFUSED);
  json_put_varint(j, 1);
  return true;
}

static bool put_message(json *j, const json_message *m);

static bool put_value(json *j, const json_field *f) {
  uint64_t bits;
  uint8_t *at;
  bool is_nothing = false;
  switch (f->kind) {
    case J_TEXT: return json_put_text(j, f);
    case J_BYTES:
    case J_ID: return json_put_bytes(j, f);
    case J_MESSAGE:
      return json_put_tag(j, f, LENGTH) && json_open_length(j, &at) && put_message(j, &JSON_MESSAGES[f->of]) && json_close_length(j, at);
    default:
      if (!json_read_scalar(j, f, &bits, &is_nothing)) return false;
      if (is_nothing || (!bits && !f->flags)) return true;
      return json_put_tag(j, f, (enum wire_type)JSON_NUMBER_KINDS[f->kind].wire) && json_put_scalar(j, f, bits);
  }
}

// --- what is passed over

// A message that stands for one item which is refused.
static bool put_refused(json *j, const json_message *m) {
  for (unsigned i = 0; i < m->count; i++) {
    const json_field *f = &m->fields[i];
    uint8_t *at;
    if (f->kind == J_MESSAGE && JSON_MESSAGES[f->of].roles & J_PATH)
      return json_put_tag(j, f, LENGTH) && json_open_length(j, &at) && put_refused(j, &JSON_MESSAGES[f->of]) && json_close_length(j, at);
  }
  return put_mark(j);
}

static void say_where(const json *j, char *to, size_t size);

static void note(json *j) {
  transcoded *r = j->result;
  if (r->what) return;
  r->at = (uint64_t)(j->text.at - j->begin);
  r->what = j->fault;
  say_where(j, r->where, sizeof r->where);
}

typedef struct {
  const uint8_t *text;
  uint8_t *out;
  unsigned depth;
} place;

static place here(const json *j) { return (place){j->text.at, j->out, j->depth}; }

// After a fault in a value of `f` that began here: as if it had not been there, but for what is said of it.
static bool pass_over(json *j, const json_field *f, place begin) {
  uint8_t *at;
  if (j->is_full || j->is_broken) return false;
  note(j);
  j->text.at = begin.text;
  j->out = begin.out;
  j->depth = begin.depth;
  j->fault = NULL;
  if (!json_skip(j)) {
    j->is_broken = true;
    return false;
  }
  if (f->kind == J_MESSAGE && JSON_MESSAGES[f->of].roles & J_PATH)
    return json_put_tag(j, f, LENGTH) && json_open_length(j, &at) && put_refused(j, &JSON_MESSAGES[f->of]) && json_close_length(j, at);
  if (f->kind != J_ID) j->is_refused = true;
  return true;
}

static bool put_or_pass(json *j, const json_field *f) {
  place begin = here(j);
  return put_value(j, f) || pass_over(j, f, begin);
}

static bool put_list(json *j, const json_field *f) {
  bool is_packed = f->kind < J_TEXT, is_nothing = false;
  int64_t *index = &j->path[j->depth].index;
  uint8_t *begin = j->out, *at = NULL, *first;
  uint64_t bits;
  if (!json_next(j, '[')) return json_fail(j, "an array belongs here");
  if (is_packed && (!json_put_tag(j, f, LENGTH) || !json_open_length(j, &at))) return false;
  first = j->out;
  json_space(j);
  for (*index = 0; !json_next(j, ']'); ++*index) {
    if (*index) {
      if (!json_next(j, ',')) return json_fail(j, "a comma or ] belongs here");
      json_space(j);
    }
    if (!is_packed) {
      if (f->kind == J_MESSAGE ? !put_or_pass(j, f) : !put_value(j, f)) return false;
    } else if (!json_read_scalar(j, f, &bits, &is_nothing) || (!is_nothing && !json_put_scalar(j, f, bits))) {
      return false;
    }
    json_space(j);
  }
  *index = -1;
  if (is_packed && j->out == first) j->out = begin;
  return !is_packed || j->out == begin || json_close_length(j, at);
}

static bool is_name(const char *name, uint8_t size, bytes key) {
  return length_of(key) == size && !memcmp(key.at, name, size);
}

// The field of a name; senders write them in one order, so that it is mostly the one after the last.
static const json_field *field_of(const json_message *m, const json_string *key, unsigned *next) {
  enum { ESCAPED_MAX = 6 * 64 };
  uint8_t said[ESCAPED_MAX];
  bytes name = key->raw;
  if (key->is_escaped) {
    if (length_of(name) > ESCAPED_MAX) return NULL;
    name = (bytes){said, json_unescape(key, said)};
  }
  for (unsigned i = 0; i < m->count; i++) {
    if (*next >= m->count) *next = 0;
    const json_field *f = &m->fields[(*next)++];
    if (is_name(f->name, f->name_size, name) || is_name(f->proto_name, f->proto_name_size, name)) return f;
  }
  return NULL;
}

// A member that cannot be there beside another one: neither of the two is to be trusted.
static bool clash(json *j, const char *fault) {
  json_fail(j, fault);
  note(j);
  j->fault = NULL;
  j->is_refused = true;
  if (json_skip(j)) return true;
  j->is_broken = true;
  return false;
}

static bool put_field(json *j, const json_message *m, const json_field *f, uint64_t *seen) {
  const uint64_t choice = (uint64_t)1 << 63, bit = (uint64_t)1 << (f - m->fields);
  const bool is_request = j->depth == 1;  // holds no item that could be refused in its place
  if (*seen & bit) return is_request ? json_fail(j, "this field is given twice") : clash(j, "this field is given twice");
  *seen |= bit;
  if (json_literal(j, "null")) return true;
  if (f->flags & J_CHOICE) {
    if (*seen & choice) return clash(j, "only one of the alternatives may be given");
    *seen |= choice;
  }
  place begin = here(j);
  if (f->flags & J_LIST ? put_list(j, f) : put_value(j, f)) return true;
  if (is_request) return false;
  return pass_over(j, f, begin);
}

static bool put_members(json *j, const json_message *m);

static bool put_message(json *j, const json_message *m) {
  if (!json_sees(j, '{')) return json_fail(j, "an object belongs here");
  if (j->depth == JSON_DEPTH_MAX) return json_skip(j) || !(j->is_broken = true);
  const bool of_others = j->is_refused;
  j->is_refused = false;
  if (!put_members(j, m)) return false;
  if (!(m->roles & J_MARKED)) {
    j->is_refused |= of_others;
    return true;
  }
  bool is_put = !j->is_refused || put_mark(j);
  j->is_refused = of_others;
  return is_put;
}

// Whether a member of a request that has no such field is one of another signal's: its items would be lost without a word.
static bool is_of_another_signal(const json_string *key) {
  unsigned next = 0;
  for (int signal = TRACES; signal <= METRICS; signal++)
    if (field_of(&JSON_MESSAGES[REQUEST_OF[signal]], key, &next)) return true;
  return false;
}

static bool put_members(json *j, const json_message *m) {
  uint64_t seen = 0;
  unsigned next = 0;
  j->depth++;
  j->text.at++;
  json_space(j);
  if (json_next(j, '}')) {
    j->depth--;
    return true;
  }
  for (;;) {
    json_string key;
    j->path[j->depth].field = NULL;
    j->path[j->depth].index = -1;
    if (!json_read_string(j, &key)) return false;
    const json_field *f = field_of(m, &key, &next);
    json_space(j);
    if (!json_next(j, ':')) return json_fail(j, "a colon belongs here");
    json_space(j);
    if (f) {
      j->path[j->depth].field = f;
      if (!put_field(j, m, f, &seen)) return false;
    } else if (j->depth == 1 && is_of_another_signal(&key)) {
      return json_fail(j, "it holds another signal than is sent here");
    } else if (!json_skip(j)) {
      j->is_broken = true;
      return false;
    }
    json_space(j);
    if (json_next(j, '}')) break;
    if (!json_next(j, ',')) return json_fail(j, "a comma or } belongs here");
    json_space(j);
  }
  j->depth--;
  return true;
}

// --- the whole

// As in resourceSpans[0].scopeSpans[2].scope; what does not fit is left out at its end.
static void say_where(const json *j, char *to, size_t size) {
  *to = 0;
  for (unsigned depth = 1; depth <= j->depth && depth <= JSON_DEPTH_MAX; depth++) {
    const json_field *f = j->path[depth].field;
    if (!f) break;
    char step[64];
    int length = snprintf(step, sizeof step, "%s%s", depth > 1 ? "." : "", f->name);
    if (j->path[depth].index >= 0) length += snprintf(step + length, sizeof step - (size_t)length, "[%lld]", (long long)j->path[depth].index);
    if ((size_t)length + sizeof "..." > size) {
      memcpy(to, "...", sizeof "...");
      return;
    }
    memcpy(to, step, (size_t)length + 1);
    to += length;
    size -= (size_t)length;
  }
}

// A request of a signal in at most `room` bytes, freed with duoscope_json_free. 0, or -1 where it is none, and `result` says
// why (of a request, what was passed over first), or -2 without memory, or -3 where the room is too small.
__attribute__((visibility("default"))) int duoscope_json(int signal, const uint8_t *text, size_t size, size_t room,
                                                         transcoded *result) {
  *result = (transcoded){0};
  uint8_t *out = malloc(room + 1);
  if (!out) return -2;
  json j = {.text = {text, text + size}, .begin = text, .out = out, .out_end = out + room, .result = result};
  json_space(&j);
  bool is_read = put_message(&j, &JSON_MESSAGES[REQUEST_OF[signal]]);
  if (is_read) {
    json_space(&j);
    is_read = j.text.at == j.text.end || json_fail(&j, "nothing may follow the object");
  }
  free(j.open);
  if (is_read) {
    result->data = out;
    result->size = (size_t)(j.out - out);
    return 0;
  }
  free(out);
  result->at = (uint64_t)(j.text.at - text);
  result->what = j.fault;
  say_where(&j, result->where, sizeof result->where);
  return j.out_of_memory ? -2 : j.is_full ? -3 : -1;
}

__attribute__((visibility("default"))) void duoscope_json_free(uint8_t *data) { free(data); }
