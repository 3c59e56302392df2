// Attributes as they are stored: a JSON object with typed values.
#ifndef DUOSCOPE_ATTRIBUTES_H
#define DUOSCOPE_ATTRIBUTES_H

#include "columns/buffer.h"
#include "reading.h"

// Replaces what `out` holds, and says in d->attributes what else is to be known. What is left out is no longer in `list` either.
int attributes_json(decoder *d, ranges *list, bool sorted, buffer *out);

#endif
