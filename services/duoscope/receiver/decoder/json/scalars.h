// What the fields of a message hold but for messages: texts, bytes and numbers.
#ifndef DUOSCOPE_SCALARS_H
#define DUOSCOPE_SCALARS_H

#include "json/json.h"

typedef struct {
  double low, high;  // the first that does not fit at the upper end
  uint8_t wire, width;
} json_number_kind;
extern const json_number_kind JSON_NUMBER_KINDS[];  // by what a field holds

// Each takes one value; false: it is none of the field's, and j->fault says why.
bool json_put_text(json *j, const json_field *f);
// Bytes that are written as text: hex digits or base64, which is more than they are.
bool json_put_bytes(json *j, const json_field *f);
// A number, a boolean or an enum's name as 64 bits. `is_nothing`: a name that is not known, which is as good as none.
bool json_read_scalar(json *j, const json_field *f, uint64_t *bits, bool *is_nothing);
bool json_put_scalar(json *j, const json_field *f, uint64_t bits);

#endif
