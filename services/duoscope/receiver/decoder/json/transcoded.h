// What became of a text in OTLP/JSON.
#ifndef DUOSCOPE_TRANSCODED_H
#define DUOSCOPE_TRANSCODED_H

#include <stddef.h>
#include <stdint.h>

// A fault of a text that was read after all is the first that was passed over.
typedef struct {
  uint8_t *data;
  size_t size;
  uint64_t at;       // of a fault: the byte it was seen at,
  const char *what;  // what it is,
  char where[200];   // and the field, as far as there is one
} transcoded;

#endif
