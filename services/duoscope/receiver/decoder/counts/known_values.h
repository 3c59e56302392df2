// Which fields there are, of which owner and quarter of an hour, and which values they had, with counts: bounded, and hashed.
#ifndef DUOSCOPE_KNOWN_VALUES_H
#define DUOSCOPE_KNOWN_VALUES_H

#include "columns/buffer.h"
#include "columns/object.h"
#include "types.h"

enum { VALUE_BYTES_MAX = 256 };  // a longer text is of the others
enum { FIELD_NAME_BYTES_MAX = OBJECT_NAME_BYTES_MAX };
// As the table numbers them, but for the last.
enum value_type { OTHERS = 0, TEXT_VALUE, BOOL_VALUE, INT_VALUE, DOUBLE_VALUE, FORGOTTEN };
static const uint64_t QUARTER = 900ull * 1000000000u;

#define NO_FIELD UINT32_MAX

enum { SHARES = 1024 };  // into which tenants fall: each may have a quarter of all fields and values

typedef struct {
  uint64_t hash;
  owner owner;
  uint64_t others;  // not in rows yet
  size_t name;      // where it is in `texts`
  uint32_t quarter, values;
  uint16_t share;
  uint8_t name_size, place;
  bool is_many;     // it had more values than are told apart
} known_field;

typedef struct {
  uint64_t number;  // of a text, where it is in `texts`
  uint32_t size, field, total;
  uint8_t type;
} known_value;

typedef struct {
  uint64_t hash;
  uint32_t count;  // not in rows yet
  uint32_t value;  // its number plus one; 0: the slot is free
} value_slot;

typedef struct {
  buffer fields, values, texts;  // of `known_field` and `known_value`; their names and texts
  uint32_t *field_slots;         // the number of a field plus one; 0 is free
  value_slot *value_slots;
  size_t field_mask, value_mask;
  uint32_t fields_of[SHARES], values_of[SHARES];
} known_values;

static inline known_field *known_field_at(const known_values *v, uint32_t field) { return (known_field *)v->fields.data + field; }

// The number of a field, known by a hash that nobody can aim at, or NO_FIELD; `base` is the hash of the owner and the quarter.
uint32_t known_field_of(known_values *v, const owner *o, uint32_t quarter, uint64_t base, uint8_t place, bytes name);
// A value that came `count` times more: a text, the hash of one under `hash_secret`, or a number.
void known_text(known_values *v, uint32_t field, bytes text, uint32_t count);
void known_word(known_values *v, uint32_t field, uint64_t word_hash, bytes text, uint32_t count);
void known_number(known_values *v, uint32_t field, uint8_t type, uint64_t number, uint32_t count);

// Forgets all but what may come again: fields of the quarter of `now` and of the one before. If there is too much, all.
void known_keep(known_values *v, uint64_t now);
void known_forget(known_values *v);

#endif
