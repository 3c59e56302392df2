// Which services, operations and attributes there are: a row each, for people who write searches. What was put there is
// known by hashes and not put again before `catalogue_forget`. Most items cost a look at one or two of them: all keys of
// an item together have one hash, its schema hash.
#ifndef DUOSCOPE_CATALOGUE_H
#define DUOSCOPE_CATALOGUE_H

#include "columns/buffer.h"
#include "types.h"

// What was put into the table.
typedef struct {
  uint64_t *slots;   // hashes; 0 is free
  size_t table, count;
  buffer undo;       // slots that this request took
  bool was_emptied;  // by this request
  uint64_t resource, date, base;  // serial of a resource, day of an item, and the hash of all that both stand for
  size_t rows_left;
} catalogue;

bool catalogue_open(decoder *d);
void catalogue_close(catalogue *c);
void catalogue_forget(catalogue *c);
void catalogue_mark(catalogue *c);
void catalogue_revert(catalogue *c);  // the rows themselves are the table's to take back

// Puts there what is new of a stored item: its attributes are d->pairs, `schema_hash` that of their keys and types.
void catalogue_item(decoder *d, uint64_t time, uint64_t schema_hash, const bytes *operation);

#endif
