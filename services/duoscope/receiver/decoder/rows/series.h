// The series of a tenant that were seen lately: two sets of hashes, this period's and the last one's.
#ifndef DUOSCOPE_SERIES_H
#define DUOSCOPE_SERIES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct series series;

series *series_open(void);
void series_close(series *s);
void series_rotate(series *s);  // forget what was not seen since the last time
uint64_t series_active(const series *s);
// Whether a series is active already or may become so.
bool series_admit(series *s, uint64_t hash, uint64_t max);

#endif
