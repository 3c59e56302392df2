// Whether bytes are a message at all, where nothing of it is stored: parts that were overwritten by later ones, items of a
// resource that is rejected, entries beyond a limit. Protobuf parses those too, and a request is malformed wherever it is.
#include "decoder.h"

enum { FIELDS = 17, DEPTH_MAX = 100 };

// What the fields of a message hold; fields that are not here are numbers, texts, or unknown.
static const uint8_t HOLDS[SHAPES][FIELDS] = {
    [A_VALUE] = {[5] = A_VALUES, [6] = A_PAIRS},
    [A_VALUES] = {[1] = A_VALUE},
    [A_PAIRS] = {[1] = A_PAIR},
    [A_PAIR] = {[2] = A_VALUE},
    [A_RESOURCE] = {[1] = A_PAIR, [3] = A_LEAF},
    [A_SCOPE] = {[3] = A_PAIR},
    [A_SPAN] = {[9] = A_PAIR, [11] = A_EVENT, [13] = A_LINK, [15] = A_LEAF},
    [A_EVENT] = {[3] = A_PAIR},
    [A_LINK] = {[4] = A_PAIR},
    [A_RECORD] = {[5] = A_VALUE, [6] = A_PAIR},
    [A_METRIC] = {[5] = A_NUMBERS_OF, [7] = A_NUMBERS_OF, [9] = A_HISTOGRAMS_OF, [10] = A_EXPONENTIALS_OF,
                  [11] = A_SUMMARIES_OF, [12] = A_PAIR},
    [A_NUMBERS_OF] = {[1] = A_NUMBER},
    [A_HISTOGRAMS_OF] = {[1] = A_HISTOGRAM_POINT},
    [A_EXPONENTIALS_OF] = {[1] = A_EXPONENTIAL_POINT},
    [A_SUMMARIES_OF] = {[1] = A_SUMMARY_POINT},
    [A_NUMBER] = {[5] = A_EXEMPLAR, [7] = A_PAIR},
    [A_EXEMPLAR] = {[7] = A_PAIR},
    [A_HISTOGRAM_POINT] = {[6] = A_PACKED64, [7] = A_PACKED64, [8] = A_EXEMPLAR, [9] = A_PAIR},
    [A_EXPONENTIAL_POINT] = {[1] = A_PAIR, [8] = A_BUCKETS, [9] = A_BUCKETS, [11] = A_EXEMPLAR},
    [A_BUCKETS] = {[2] = A_PACKED_VARINTS},
    [A_SUMMARY_POINT] = {[6] = A_LEAF, [7] = A_PAIR},
};

static bool is_shaped(bytes message, enum shape shape, unsigned depth) {
  field f;
  int more;
  uint64_t ignored;
  if (depth > DEPTH_MAX) return true;  // far deeper than what is stored: no reason to lose other items
  for (bytes m = message; (more = next_field(&m, &f));) {
    if (more < 0) return false;
    if (f.type != LENGTH || f.number >= FIELDS) continue;
    switch (HOLDS[shape][f.number]) {
      case A_NOTHING: break;
      case A_PACKED64:
        if (length_of(f.range) % 8) return false;
        break;
      case A_PACKED_VARINTS:
        while (f.range.at < f.range.end)
          if (!read_varint(&f.range, &ignored)) return false;
        break;
      default:
        if (!is_shaped(f.range, (enum shape)HOLDS[shape][f.number], depth + 1)) return false;
    }
  }
  return true;
}

bool is_message(bytes message, enum shape shape) { return is_shaped(message, shape, 0); }
