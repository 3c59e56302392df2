// OTLP/JSON to the protobuf wire format, so that a request in JSON goes the way of every other from there on.
//
// `tokens.c` reads JSON's tokens, `json_fields.c` is the table of messages and their fields, `transcode.c` walks a text by
// the table and writes the message, `scalars.c` what its fields hold. Nothing of the text is kept: every byte is read once,
// and what comes out of it is written where it stays, but for messages that grow a longer length.
#ifndef DUOSCOPE_JSON_H
#define DUOSCOPE_JSON_H

#include "json/json_fields.h"
#include "json/transcoded.h"

// Messages within messages. Deeper ones are empty: by then the decoder has seen more levels of a value than it stores.
enum { JSON_DEPTH_MAX = 112 };

// A text that is being read, and the message that it becomes.
typedef struct {
  bytes text;              // what is left of it
  const uint8_t *begin;
  uint8_t *out, *out_end;  // where the message goes on, and where its room ends
  const char *fault;       // what is wrong at text.at; NULL: nothing
  bool is_full;
  bool is_broken;          // what is wrong is no JSON, or nothing can be made of the rest
  bool is_refused;         // a member of the message was passed over
  bool out_of_memory;
  transcoded *result;
  uint8_t *open;           // of containers nobody wants, a bit each: whether it is an object
  size_t open_size;
  unsigned depth;
  struct {
    const json_field *field;
    int64_t index;  // in its array, or -1
  } path[JSON_DEPTH_MAX + 1];  // by depth
} json;

static inline bool json_fail(json *j, const char *fault) {
  if (!j->fault) j->fault = fault;
  return false;
}

#endif
