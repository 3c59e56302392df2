// Attributes as they are stored: a JSON object with typed values.
#ifndef DUOSCOPE_ATTRIBUTES_H
#define DUOSCOPE_ATTRIBUTES_H

#include "columns/object.h"
#include "reading.h"

// Replaces what `out` holds, and says in d->attributes what else is to be known. What is left out is no longer in `list` either.
int attributes_json(decoder *d, ranges *list, bool sorted, buffer *out);

// Does the same, but for those that columns keep: their values are left in d->typed, to be put with the row, and `out` has only the
// others, and is empty where there are none.
int attributes_columns(decoder *d, ranges *list, object *columns, buffer *out);

#endif
