// What rows of all signals have in common: whose they are, and the resource and scope that they came from.
#ifndef DUOSCOPE_ORIGIN_H
#define DUOSCOPE_ORIGIN_H

#include "columns/buffer.h"
#include "columns/specs.h"
#include "reading.h"

#define OWNER_COLUMNS(COLUMN)                      \
  COLUMN(C_ORGANIZATION, "organization_id", AS_UUID) \
  COLUMN(C_WORKSPACE, "workspace_id", AS_UUID)       \
  COLUMN(C_TENANT, "tenant_id", AS_UUID)             \
  COLUMN(C_RETENTION, "retention_days", AS_U16)
#define ORIGIN_COLUMNS(COLUMN)                             \
  OWNER_COLUMNS(COLUMN)                                    \
  COLUMN(C_SERVICE, "service_name", AS_WORD)               \
  COLUMN(C_RESOURCE, "resource", AS_WORD)                  \
  COLUMN(C_SCOPE_NAME, "scope_name", AS_WORD)              \
  COLUMN(C_SCOPE_VERSION, "scope_version", AS_WORD)        \
  COLUMN(C_SCOPE_ATTRIBUTES, "scope_attributes", AS_WORD)  \
  COLUMN(C_RESOURCE_URL, "resource_schema_url", AS_WORD)   \
  COLUMN(C_SCOPE_URL, "scope_schema_url", AS_WORD)
#define FULL_ORIGIN_COLUMNS(COLUMN)                                        \
  ORIGIN_COLUMNS(COLUMN)                                                   \
  COLUMN(C_RESOURCE_DROPPED, "resource_dropped_attributes_count", AS_U32)  \
  COLUMN(C_SCOPE_DROPPED, "scope_dropped_attributes_count", AS_U32)
enum { FULL_ORIGIN_COLUMNS(COLUMN_ID) FULL_ORIGIN_END };
enum {
  OWNER_END = C_RETENTION + 1,
  ORIGIN_END = C_SCOPE_URL + 1,
  ORIGIN_WORDS = ORIGIN_END - C_SERVICE,
};

// What the items of a scope share. The texts are words of each table, looked up when a table meets a new origin.
typedef struct {
  buffer resource, scope_attributes, service;  // JSON, JSON, text
  bytes resource_url, scope_name, scope_version, scope_url;
  uint32_t resource_dropped, scope_dropped;
  uint64_t resource_hash, scope_hash, service_hash;
  uint64_t resource_schema_hash;       // of its attributes
  unsigned resource_cut, scope_cut;    // see `cut` of the decoder
  uint64_t resource_serial, serial;
} origin;

typedef int (*item_reader)(decoder *d, bytes item);
typedef int (*item_counter)(bytes item, uint64_t *count);

// Walks a request down to its items, each of which is an `item`. OK or MALFORMED.
int read_request(decoder *d, bytes request, item_reader read, item_counter count, enum otlp_message item);
int count_one(bytes item, uint64_t *count);  // of items that are one each

void put_origin(decoder *d, size_t table);

#endif
