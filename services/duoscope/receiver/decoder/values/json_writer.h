// Puts values into JSON: as everybody's, with two things it lacks: bytes are {"@otlp.bytes_value":"<base64>"}, and nan, inf
// and -inf are texts. telemetry/values.py reads it.
//
// `d->room` bounds what is put: what does not fit is left out, and takes no memory either.
#ifndef DUOSCOPE_JSON_WRITER_H
#define DUOSCOPE_JSON_WRITER_H

#include "columns/buffer.h"
#include "values/any_value.h"

bool is_full(decoder *d, const buffer *out, size_t size);
// A text between quotes. False where it is no UTF-8. The first that there is no room for is put there as far as it goes.
bool put_json_text(decoder *d, buffer *out, bytes text);
void put_literal(decoder *d, buffer *out, const char *text);
void put_double(decoder *d, buffer *out, double value);
void put_base64(decoder *d, buffer *out, bytes b);
// OK, INVALID_UTF8 or MALFORMED.
int put_any(decoder *d, const any_value *v, uint32_t depth, buffer *out);

// Cuts what was put from `begin` on, a text of `size` bytes without its closing quote, so that all of it and the mark end at
// `end` at most: where a character ends, and no escape is torn.
void cut_short(decoder *d, buffer *out, size_t begin, size_t end, size_t size, bool is_json);

#endif
