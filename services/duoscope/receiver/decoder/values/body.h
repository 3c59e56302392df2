// The body of a log record as it is stored, and other single values that are texts.
#ifndef DUOSCOPE_BODY_H
#define DUOSCOPE_BODY_H

#include "columns/buffer.h"
#include "types.h"
#include "wire/wire.h"

// A text as it is, bytes in base64, anything else as JSON. Replaces what `out` holds. One of more than `size_max` bytes is a
// text that is cut short, whatever it was.
int body_text(decoder *d, bytes value, size_t size_max, buffer *out, uint8_t *kind);

#endif
