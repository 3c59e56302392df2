#include "values/numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t write_int(char *to, int64_t value) {
  char digits[INT_CHARS_MAX], *at = digits + sizeof digits;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (value < 0) *--at = '-';
  const size_t size = (size_t)(digits + sizeof digits - at);
  memcpy(to, at, size);
  return size;
}

// Of ten, those that are doubles to the last digit.
enum { EXACT_POWER = 22 };
static const double POWERS[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                               1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool exact_double(uint64_t digits, int64_t exponent, double *value) {
  // Both are doubles to the last digit, so that one rounding gives the nearest (Clinger, 1990).
  if (digits > (uint64_t)1 << 53 || exponent < -EXACT_POWER || exponent > EXACT_POWER) return false;
  *value = exponent < 0 ? (double)digits / POWERS[-exponent] : (double)digits * POWERS[exponent];
  return true;
}

double nearest_double(const char *text, size_t size, int64_t exponent) {
  char whole[DIGITS_MAX + 1 + INT_CHARS_MAX + 1], *to = whole;  // without a point in it
  for (size_t i = 0; i < size; i++)
    if (text[i] >= '0' && text[i] <= '9') *to++ = text[i];
  *to++ = 'e';
  to += write_int(to, exponent);
  *to = 0;
  return strtod(whole, NULL);
}

// Every decimal of 15 digits is the nearest of its kind to the double that is nearest to it, and 17 tell all doubles apart.
enum { FEWEST = 15, ENOUGH = 17 };

// The decimal digits of a number without those zeros that say nothing, and where its point is: behind the first of them,
// moved by `exponent`.
typedef struct {
  char digits[INT_CHARS_MAX];
  int count, exponent;
} decimal;

// With as many digits as asked for, 17 at most. Whether that is the same number.
static bool round_to(double value, int count, decimal *d) {
  char text[40];
  uint64_t digits = 0;
  double back;
  snprintf(text, sizeof text, "%.*e", count - 1, value);
  const char *at = text;
  d->count = 0;
  for (; *at != 'e'; at++) {
    if (*at < '0' || *at > '9') continue;  // the point, whatever it is
    d->digits[d->count++] = *at;
    digits = digits * 10 + (uint64_t)(*at - '0');
  }
  d->exponent = atoi(at + 1);
  const int last = d->exponent - (count - 1);
  if (!exact_double(digits, last, &back)) back = nearest_double(d->digits, (size_t)d->count, last);
  while (d->count > 1 && d->digits[d->count - 1] == '0') d->count--;
  return back == value;
}

// The digits of a number that has few, as most have, without C's library. Else how many to begin with instead, or 0.
static int short_decimal(double value, decimal *d) {
  if (value >= 1e15) return FEWEST;
  for (int places = 1; places <= EXACT_POWER; places++) {
    const double scaled = value * POWERS[places];
    if (scaled >= 1e15) return FEWEST + 1;  // all decimals of fewer digits were tried
    const uint64_t digits = (uint64_t)(scaled + 0.5);  // off by less than a half: these are they, if any are
    if (!digits || (double)digits / POWERS[places] != value) continue;
    d->count = (int)write_int(d->digits, (int64_t)digits);
    d->exponent = d->count - 1 - places;
    return 0;
  }
  return FEWEST;
}

size_t write_double(char *to, double value) {
  enum { ZEROS_MAX = 4 };
  const bool is_negative = signbit(value);
  if (value == floor(value) && fabs(value) < 1e15 && !(value == 0 && is_negative)) return write_int(to, (int64_t)value);
  decimal d;
  char *begin = to;
  int precision = short_decimal(fabs(value), &d);
  while (precision && !round_to(fabs(value), precision, &d) && precision < ENOUGH) precision++;
  if (is_negative) *to++ = '-';
  if (d.exponent < -ZEROS_MAX || (precision && d.exponent >= precision)) {  // 1.5e+300
    *to++ = d.digits[0];
    if (d.count > 1) *to++ = '.';
    for (int i = 1; i < d.count; i++) *to++ = d.digits[i];
    *to++ = 'e';
    *to++ = d.exponent < 0 ? '-' : '+';
    if (abs(d.exponent) < 10) *to++ = '0';
    return (size_t)(to - begin) + write_int(to, abs(d.exponent));
  }
  if (d.exponent < 0) {  // 0.0015
    *to++ = '0';
    *to++ = '.';
    for (int i = -1; i > d.exponent; i--) *to++ = '0';
  }
  for (int i = 0; i < d.count; i++) {
    *to++ = d.digits[i];
    if (i == d.exponent && i + 1 < d.count) *to++ = '.';
  }
  for (int i = d.count; i <= d.exponent; i++) *to++ = '0';
  return (size_t)(to - begin);
}
