// The values that fields have, with counts by quarter of an hour: for facets and completion, never for exact answers.
//
// They are counted when a request is complete, column by column, from the rows that it left: what is rejected, or taken back,
// was never counted. Counts gather over many batches, and become rows when Python asks for them; of each field and quarter a
// bounded number of values is told apart, and the rest is counted as others (docs/adr/0029).
#ifndef DUOSCOPE_FIELD_VALUES_H
#define DUOSCOPE_FIELD_VALUES_H

#include "columns/buffer.h"
#include "counts/known_values.h"
#include "types.h"

// A built-in field, by the name that queries have for it, and the column that it is in.
typedef struct {
  const char *name;
  size_t column;
  const char *const *choices;  // the names of numbers; NULL for a column of words. A number without a name is not counted.
  size_t choice_count;
} counted_field;

// What is counted of a table.
typedef struct {
  size_t time, attributes;  // its columns
  const counted_field *fields;
  size_t count;
} counted_columns;

typedef struct {
  const counted_columns *of;  // NULL: nothing is counted of this signal
  bool is_counting;
  size_t table;
  known_values known;
  buffer resources, resource_values, resource_texts;  // of this request: where each resource's rows begin, and its attributes
} field_values;

bool field_values_open(decoder *d, const counted_columns *of);
void field_values_close(field_values *v);
void field_values_mark(field_values *v);     // a request begins
void field_values_resource(decoder *d);      // its attributes are d->resource_pairs; its rows begin
void field_values_request(decoder *d);       // it is complete
// Turns the counts so far into rows. What may still get more of them in its quarter of an hour is kept, to be known again.
void field_values_flush(decoder *d);

#endif
