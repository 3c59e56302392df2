#include "rows/catalogue.h"

#include <stdlib.h>

#include "columns/hash.h"
#include "decoder.h"
#include "rows/emit.h"
#include "values/any_value.h"

enum { SLOTS = 1 << 16, ENTRIES_MAX = SLOTS / 2 };
enum { ROWS_MAX = 4096 };  // of one request; what is beyond has to wait for another one
enum { NAME_MAX_BYTES = 1024 };
enum { SERVICE = 1, OPERATION, RESOURCE_ATTRIBUTE, ATTRIBUTE };  // `entry`, as the table numbers them

#define ENTRY_COLUMNS(COLUMN)                                                                                         \
  COLUMN(DATE, "date", AS_DATE)                                                                                       \
  COLUMN(SIGNAL, "signal", AS_ENUM("'traces' = 1, 'logs' = 2, 'metrics' = 3"))                                        \
  COLUMN(ENTRY, "entry", AS_ENUM("'service' = 1, 'operation' = 2, 'resource_attribute' = 3, 'attribute' = 4"))        \
  COLUMN(SERVICE_NAME, "service_name", AS_WORD)                                                                       \
  COLUMN(NAME, "name", AS_TEXT)                                                                                       \
  COLUMN(TYPE, "type", AS_ENUM("'none' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, "         \
                               "'kvlist' = 6, 'bytes' = 7"))
enum { BEFORE_ENTRY_COLUMNS = OWNER_END - 1, ENTRY_COLUMNS(COLUMN_ID) COLUMNS };
static const column_spec ENTRIES[] = {OWNER_COLUMNS(COLUMN_SPEC) ENTRY_COLUMNS(COLUMN_SPEC)};
HAS_COLUMNS(ENTRIES, COLUMNS);

bool catalogue_open(decoder *d) {
  d->catalogue.table = d->table_count++;
  d->catalogue.slots = calloc(SLOTS, sizeof(uint64_t));
  return d->catalogue.slots && table_open(&d->tables[d->catalogue.table], "telemetry_catalogue", ENTRIES, COLUMNS);
}

void catalogue_close(catalogue *c) {
  free(c->slots);
  free(c->undo.data);
}

void catalogue_forget(catalogue *c) {
  memset(c->slots, 0, SLOTS * sizeof(uint64_t));
  c->count = c->resource = c->undo.size = 0;
  c->was_emptied = true;
}

void catalogue_mark(catalogue *c) {
  c->undo.size = c->resource = 0;
  c->was_emptied = false;
  c->rows_left = ROWS_MAX;
}

void catalogue_revert(catalogue *c) {
  if (c->was_emptied) {
    catalogue_forget(c);
    return;
  }
  // The other way round, so that each slot is free again when those that came before it are looked for.
  const uint32_t *taken = (const uint32_t *)c->undo.data;
  for (size_t i = c->undo.size / sizeof *taken; i--; c->count--) c->slots[taken[i]] = 0;
}

static bool is_new(decoder *d, uint64_t hash) {
  catalogue *c = &d->catalogue;
  hash += !hash;
  uint32_t s = hash & (SLOTS - 1);
  for (; c->slots[s]; s = (s + 1) & (SLOTS - 1))
    if (c->slots[s] == hash) return false;
  if (c->count == ENTRIES_MAX) {
    uint64_t resource = c->resource;
    catalogue_forget(c);
    c->resource = resource;
    s = hash & (SLOTS - 1);
  }
  if (!buffer_put(&c->undo, &s, sizeof s)) {
    d->out_of_memory = true;
    return false;
  }
  c->slots[s] = hash;
  c->count++;
  return true;
}

static void put_entry(decoder *d, uint8_t entry, bytes name, uint8_t type) {
  catalogue *c = &d->catalogue;
  table *t = &d->tables[c->table];
  if (!c->rows_left || length_of(name) > NAME_MAX_BYTES) return;
  if (!is_new(d, hash_bytes(name.at, length_of(name), c->base + entry * 8u + type))) return;
  c->rows_left--;
  put_owner(d, t);
  put_u16(t, DATE, (uint16_t)c->date);
  put_u8(t, SIGNAL, (uint8_t)(d->signal + 1));
  put_u8(t, ENTRY, entry);
  put_word(t, SERVICE_NAME, buffer_bytes(&d->origin.service));
  put_text(t, NAME, name);
  put_u8(t, TYPE, type);
  t->rows++;
}

static void put_attributes(decoder *d, uint8_t entry, const ranges *pairs, uint64_t schema_hash) {
  catalogue *c = &d->catalogue;
  if (!pairs->count || c->rows_left < pairs->count || !is_new(d, c->base + 64u + entry + schema_hash)) return;
  for (size_t i = 0; i < pairs->count; i++) {
    bytes key, value;
    if (read_pair(d, pairs->items[i], &key, &value) == OK) put_entry(d, entry, key, value_kind(d, value));
  }
}

void catalogue_item(decoder *d, uint64_t time, uint64_t schema_hash, const bytes *operation) {
  const uint64_t day = 86400000000000u;
  catalogue *c = &d->catalogue;
  if (c->resource != d->origin.resource_serial || time - c->date * day >= day) {
    c->resource = d->origin.resource_serial;
    c->date = time / day;
    // Everything that tells entries of one name apart; the owner also because tenants must not meet.
    const struct {
      owner owner;
      uint64_t service, date;
    } key = {d->owner, d->origin.service_hash, c->date};
    c->base = hash_bytes(&key, sizeof key, hash_secret);
    put_entry(d, SERVICE, no_bytes(), 0);
    put_attributes(d, RESOURCE_ATTRIBUTE, &d->resource_pairs, d->origin.resource_schema_hash);
  }
  if (operation) put_entry(d, OPERATION, *operation, 0);
  put_attributes(d, ATTRIBUTE, &d->pairs, schema_hash);
}
