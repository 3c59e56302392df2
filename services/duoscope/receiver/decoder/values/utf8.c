#include "values/utf8.h"

bool is_utf8(bytes t) {
  while (t.at < t.end) {
    if (length_of(t) >= 8 && !(load64(t.at) & HIGHS)) {
      t.at += 8;
      continue;
    }
    uint8_t c = *t.at++;
    if (c < 0x80) continue;
    unsigned more;
    uint8_t low = 0x80, high = 0xbf;  // of the second byte: no overlong form, no surrogate, nothing beyond U+10FFFF
    if (c >= 0xc2 && c <= 0xdf) {
      more = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
      more = 2;
      if (c == 0xe0) low = 0xa0;
      if (c == 0xed) high = 0x9f;
    } else if (c >= 0xf0 && c <= 0xf4) {
      more = 3;
      if (c == 0xf0) low = 0x90;
      if (c == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (length_of(t) < more || *t.at < low || *t.at > high) return false;
    for (t.at++; --more; t.at++)
      if ((*t.at & 0xc0) != 0x80) return false;
  }
  return true;
}
