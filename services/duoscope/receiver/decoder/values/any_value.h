// AnyValue and KeyValue, as OTLP has values.
#ifndef DUOSCOPE_ANY_VALUE_H
#define DUOSCOPE_ANY_VALUE_H

#include "types.h"
#include "wire/otlp_fields.h"

// The field of the oneof that is set; the tables number the kinds of values alike.
enum value_kind {
  NONE = 0,
  STRING = FIELD_ANY_VALUE_STRING_VALUE,
  BOOL = FIELD_ANY_VALUE_BOOL_VALUE,
  INT = FIELD_ANY_VALUE_INT_VALUE,
  DOUBLE = FIELD_ANY_VALUE_DOUBLE_VALUE,
  ARRAY = FIELD_ANY_VALUE_ARRAY_VALUE,
  KVLIST = FIELD_ANY_VALUE_KVLIST_VALUE,
  BYTES = FIELD_ANY_VALUE_BYTES_VALUE,
  TEXT_INDEX = FIELD_ANY_VALUE_STRING_VALUE_STRINDEX,
};

// The entries of an array and those of a list of pairs are in one field.
enum { TAG_OF_VALUES = TAG_ARRAY_VALUE_VALUES };
SAME_FIELD(TAG_OF_VALUES, TAG_KEY_VALUE_LIST_VALUES);

// An AnyValue without its content read: the field of the oneof that came last, joined where it came in pieces.
typedef struct {
  enum value_kind kind;
  uint64_t number;
  bytes range;
} any_value;

// OK or MALFORMED.
int read_any(decoder *d, bytes message, any_value *v);
int read_pair(decoder *d, bytes message, bytes *key, bytes *value);  // of a KeyValue
// NONE where it is malformed.
uint8_t value_kind(decoder *d, bytes value);

#endif
