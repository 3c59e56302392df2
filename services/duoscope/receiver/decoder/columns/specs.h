// What a table's columns are. A table has one list of them, a macro such as
//
//   #define SPAN_COLUMNS(COLUMN) COLUMN(TIMESTAMP, "timestamp", AS_TIME) COLUMN(TRACE_ID, "trace_id", AS_BYTES(16)) ...
//
// of which COLUMN_ID makes the enumerators that rows are put by and COLUMN_SPEC the specifications, so that the two are
// always in step. Tables that share columns have the shared list first.
#ifndef DUOSCOPE_SPECS_H
#define DUOSCOPE_SPECS_H

#include <stdint.h>

enum column_kind { FIXED, TEXT, DICTIONARY, ARRAY_OF_FIXED, ARRAY_OF_TEXT, OBJECT };

typedef struct {
  const char *name, *type;
  uint8_t kind;
  uint8_t width;     // of a value, of FIXED and ARRAY_OF_FIXED
  uint8_t nullable;  // FIXED only
} column_spec;

#define COLUMN_ID(id, ...) id,
#define COLUMN_SPEC(id, name, ...) {name, __VA_ARGS__},
#define HAS_COLUMNS(specs, count) \
  _Static_assert(sizeof specs / sizeof *specs == (count), "the enumerators and the specifications are of different lists")

#define TIME_TYPE "DateTime64(9, 'UTC')"
#define AS_UUID "UUID", FIXED, 16, 0
#define AS_BOOL "Bool", FIXED, 1, 0
#define AS_U8 "UInt8", FIXED, 1, 0
#define AS_U16 "UInt16", FIXED, 2, 0
#define AS_I16 "Int16", FIXED, 2, 0
#define AS_U32 "UInt32", FIXED, 4, 0
#define AS_I32 "Int32", FIXED, 4, 0
#define AS_U64 "UInt64", FIXED, 8, 0
#define AS_I64 "Int64", FIXED, 8, 0
#define AS_F64 "Float64", FIXED, 8, 0
#define AS_OPTIONAL_F64 "Nullable(Float64)", FIXED, 8, 1
#define AS_DATE "Date", FIXED, 2, 0
#define AS_DATE_TIME "DateTime('UTC')", FIXED, 4, 0
#define AS_TIME TIME_TYPE, FIXED, 8, 0
#define AS_BYTES(size) "FixedString(" #size ")", FIXED, size, 0
#define AS_ENUM(names) "Enum8(" names ")", FIXED, 1, 0
#define AS_TEXT "String", TEXT, 0, 0
#define AS_WORD "LowCardinality(String)", DICTIONARY, 4, 0
#define AS_U32_LIST "Array(UInt32)", ARRAY_OF_FIXED, 4, 0
#define AS_U64_LIST "Array(UInt64)", ARRAY_OF_FIXED, 8, 0
#define AS_F64_LIST "Array(Float64)", ARRAY_OF_FIXED, 8, 0
#define AS_TIME_LIST "Array(" TIME_TYPE ")", ARRAY_OF_FIXED, 8, 0
#define AS_BYTES_LIST(size) "Array(FixedString(" #size "))", ARRAY_OF_FIXED, size, 0
#define AS_TEXT_LIST "Array(String)", ARRAY_OF_TEXT, 0, 0
#define AS_OBJECT "JSON(max_dynamic_paths=64)", OBJECT, 0, 0  // OBJECT_PATHS_MAX

#endif
