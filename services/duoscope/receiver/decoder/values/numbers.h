// Numbers as text and back, the same under every locale: C's library is never shown a decimal point, nor is one of its taken.
#ifndef DUOSCOPE_NUMBERS_H
#define DUOSCOPE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INT_CHARS_MAX = 20, DOUBLE_CHARS_MAX = 32, DIGITS_MAX = 1023 };

// How many characters were written.
size_t write_int(char *to, int64_t value);
// The fewest digits that give a finite number back.
size_t write_double(char *to, double value);

// `digits` times ten to the `exponent`, where that takes one rounding at most. False: it may take more.
bool exact_double(uint64_t digits, int64_t exponent, double *value);
// The double next to the decimal digits in `text`, at most DIGITS_MAX of them and other characters, which are passed over,
// times ten to the `exponent`. May be infinite.
double nearest_double(const char *text, size_t size, int64_t exponent);

#endif
