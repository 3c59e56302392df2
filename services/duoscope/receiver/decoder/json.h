// OTLP/JSON to the protobuf wire format, so that a request in JSON goes the way of every other from there on.
//
// `json_text.c` reads JSON's tokens, `json_fields.c` is the table of messages and their fields, `json.c` walks a text by
// the table and writes the message. Nothing of the text is kept: every byte is read once, and what comes out of it is
// written where it stays, but for messages that grow a longer length.
#ifndef DUOSCOPE_JSON_H
#define DUOSCOPE_JSON_H

#include "wire.h"

// Messages within messages. Deeper ones are empty: by then the decoder has seen more levels of a value than it stores.
enum { JSON_DEPTH_MAX = 112 };

// What a field holds.
enum json_kind {
  J_BOOL, J_INT32, J_INT64, J_UINT32, J_UINT64, J_SINT32, J_FIXED32, J_FIXED64, J_SFIXED64, J_DOUBLE,
  J_ENUM, J_TEXT, J_BYTES, J_ID, J_MESSAGE
};

enum {
  J_ONE = 0,
  J_LIST = 1,    // an array
  J_SET = 2,     // a default value that is given is not the same as none
  J_CHOICE = 4,  // one of several of which only one may be given; no message has two such choices
};

typedef struct {
  const char *name, *proto_name;  // lowerCamelCase, and as the .proto file has it
  uint8_t name_size, proto_name_size, number, kind, flags;
  uint8_t of;  // which of the messages or enums
} json_field;

// What a message is to the request.
enum {
  J_INNER = 0,
  J_PATH = 1,    // an item, or what holds items
  J_MARKED = 2,  // is judged by the decoder: says REFUSED of itself
};

typedef struct {
  const json_field *fields;
  uint8_t count, roles;
} json_message;

typedef struct {
  const char *name;
  int32_t number;
} json_name;

typedef struct {
  const json_name *names;
  uint8_t count;
} json_enum;

// --- json_fields.c
extern const json_message JSON_MESSAGES[];  // the first three: the requests, in the order of `enum signal`
extern const json_enum JSON_ENUMS[];

typedef struct {
  bytes text;              // what is left of it
  const uint8_t *begin;
  uint8_t *out, *out_end;  // where the message goes on, and where its room ends
  const char *fault;       // what is wrong at text.at; NULL: nothing
  bool is_full;
  bool is_broken;          // what is wrong is no JSON, or nothing can be made of the rest
  bool is_refused;         // a member of the message was passed over
  bool out_of_memory;
  struct transcoded *result;
  uint8_t *open;           // of containers nobody wants, a bit each: whether it is an object
  size_t open_size;
  unsigned depth;
  struct {
    const json_field *field;
    int64_t index;  // in its array, or -1
  } path[JSON_DEPTH_MAX + 1];  // by depth
} json;

// What became of a text. A fault of one that was read after all is the first that was passed over.
typedef struct transcoded {
  uint8_t *data;
  size_t size;
  uint64_t at;       // of a fault: the byte it was seen at,
  const char *what;  // what it is,
  char where[200];   // and the field, as far as there is one
} transcoded;

static inline bool json_fail(json *j, const char *fault) {
  if (!j->fault) j->fault = fault;
  return false;
}

// --- json_text.c: each reads one token and stands behind it afterwards, or says what is wrong and answers false.
typedef struct {
  bytes raw;  // between the quotes
  bool is_escaped;
} json_string;

typedef struct {
  bytes token;
  uint64_t digits;    // all of them, or those that fit
  int64_t exponent;   // of ten, for `digits`
  bool is_negative;
  bool is_whole;      // written as an integer
  bool is_exact;      // `digits` are all
} json_number;

bool json_read_string(json *j, json_string *s);
// Writes what a string says, which is never longer than it is written. Where that ends. What is no UTF-8 is for the decoder
// to judge; half a surrogate pair becomes such.
uint8_t *json_unescape(const json_string *s, uint8_t *to);
bool json_read_number(json *j, json_number *n);
bool json_is_number(bytes text, json_number *n);  // all of the text
bool json_as_double(const json_number *n, double *value);  // false: too long, or too large
bool json_skip(json *j);

static inline void json_space(json *j) {
  while (j->text.at < j->text.end && (*j->text.at == ' ' || *j->text.at == '\n' || *j->text.at == '\r' || *j->text.at == '\t'))
    j->text.at++;
}

// Whether this character comes next; then it is read.
static inline bool json_next(json *j, char c) {
  if (j->text.at == j->text.end || *j->text.at != (uint8_t)c) return false;
  j->text.at++;
  return true;
}

static inline bool json_sees(const json *j, char c) { return j->text.at < j->text.end && *j->text.at == (uint8_t)c; }

static inline int hex_of(uint8_t c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static inline bool json_literal(json *j, const char *word) {
  size_t size = strlen(word);
  if (length_of(j->text) < size || memcmp(j->text.at, word, size)) return false;
  j->text.at += size;
  return true;
}

#endif
