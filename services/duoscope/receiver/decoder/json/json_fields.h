// The messages of OTLP as JSON writes them.
#ifndef DUOSCOPE_JSON_FIELDS_H
#define DUOSCOPE_JSON_FIELDS_H

#include "wire/otlp_fields.h"

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

extern const json_message JSON_MESSAGES[OTLP_MESSAGES];
extern const json_enum JSON_ENUMS[];

#endif
