// JSON's tokens (RFC 8259): strings, numbers, and values that nobody wants. Strict: what is no JSON is refused even there.
//
// Each function reads one token and stands behind it afterwards, or says what is wrong and answers false.
#ifndef DUOSCOPE_TOKENS_H
#define DUOSCOPE_TOKENS_H

#include "json/json.h"

typedef struct {
  bytes raw;  // between the quotes
  bool is_escaped;
} json_string;

typedef struct {
  bytes token;
  uint64_t digits;    // all of them, or those that fit
  int64_t exponent;   // of ten, for `digits`
  bool is_negative;
  bool is_whole;      // written as an integer
  bool is_exact;      // `digits` are all
} json_number;

bool json_read_string(json *j, json_string *s);
// Writes what a string says, which is never longer than it is written. Where that ends. What is no UTF-8 is for the decoder
// to judge; half a surrogate pair becomes such.
uint8_t *json_unescape(const json_string *s, uint8_t *to);
bool json_read_number(json *j, json_number *n);
bool json_is_number(bytes text, json_number *n);  // all of the text
bool json_as_double(const json_number *n, double *value);  // false: too long, or too large
bool json_skip(json *j);

static inline void json_space(json *j) {
  while (j->text.at < j->text.end && (*j->text.at == ' ' || *j->text.at == '\n' || *j->text.at == '\r' || *j->text.at == '\t'))
    j->text.at++;
}

// Whether this character comes next; then it is read.
static inline bool json_next(json *j, char c) {
  if (j->text.at == j->text.end || *j->text.at != (uint8_t)c) return false;
  j->text.at++;
  return true;
}

static inline bool json_sees(const json *j, char c) { return j->text.at < j->text.end && *j->text.at == (uint8_t)c; }

static inline int hex_of(uint8_t c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static inline bool json_literal(json *j, const char *word) {
  size_t size = strlen(word);
  if (length_of(j->text) < size || memcmp(j->text.at, word, size)) return false;
  j->text.at += size;
  return true;
}

#endif
