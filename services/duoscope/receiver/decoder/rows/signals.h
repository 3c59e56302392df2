// The signals: how each opens its tables and reads a request.
#ifndef DUOSCOPE_SIGNALS_H
#define DUOSCOPE_SIGNALS_H

#include "types.h"
#include "wire/wire.h"

bool traces_open(decoder *d);
bool logs_open(decoder *d);
bool metrics_open(decoder *d);

// Appends the rows of a request. OK or MALFORMED.
int traces_read(decoder *d, bytes request);
int logs_read(decoder *d, bytes request);
int metrics_read(decoder *d, bytes request);

void metrics_revert(decoder *d);  // takes back what a request did to rows that were there before it
void metrics_forget(decoder *d);  // the catalogue of metrics: its rows are due again

#endif
