// Feeds the decoder changed requests, with the compiler's checks for every misuse of memory and arithmetic on: see
// test_fuzz.py. Kinds from 3 on are the same in JSON: they are made protobuf first, which must come out sound.
//
//   fuzz <seconds> <seed> <file with requests: kind, 4 bytes of size, bytes>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "decoder.h"
#include "json/transcoded.h"

void duoscope_close(decoder *d);
decoder *duoscope_open(int signal);
void duoscope_clear(decoder *d);
void duoscope_count_values(decoder *d);
void duoscope_flush_values(decoder *d);
void duoscope_seed(uint64_t secret);
int duoscope_add(decoder *d, const uint8_t *request, size_t size, const owner *o, const limits *l, series *s,
                 const uint32_t *refuse, size_t refuse_count, outcome *result);
size_t duoscope_tables(const decoder *d);
size_t duoscope_native(const decoder *d, size_t t, uint8_t *place);
int duoscope_json(int signal, const uint8_t *text, size_t size, size_t room, transcoded *result);
void duoscope_json_free(uint8_t *data);

enum { KINDS = 3, SAMPLES_MAX = 4096, SIZE_MAX_BYTES = 1 << 16 };

static uint64_t state;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static struct {
  uint8_t kind;
  uint32_t size;
  uint8_t *data;
} samples[SAMPLES_MAX];

static size_t mutate(uint8_t *data, size_t size, const uint8_t *other, size_t other_size) {
  for (uint64_t changes = 1 + next() % 4; changes--;) {
    size_t at = size ? next() % size : 0, run = next() % 32;
    switch (next() % 6) {
      case 0:
        if (size) data[at] = (uint8_t)next();
        break;
      case 1:
        if (size) data[at] ^= (uint8_t)(1 << next() % 8);
        break;
      case 2:
        if (at + run < size) {
          memmove(data + at, data + at + run, size - at - run);
          size -= run;
        }
        break;
      case 3:
        size = at;
        break;
      case 4:  // a piece of another request
        if (other_size && size + run < SIZE_MAX_BYTES) {
          size_t from = next() % other_size;
          if (run > other_size - from) run = other_size - from;
          memmove(data + at + run, data + at, size - at);
          memcpy(data + at, other + from, run);
          size += run;
        }
        break;
      default:
        if (at + run < size && size + run < SIZE_MAX_BYTES) {
          memmove(data + at + run, data + at, size - at);
          size += run;
        }
    }
  }
  return size;
}

// Decodes what a text says. -1: it says nothing.
static int add_json(decoder *d, int signal, const uint8_t *text, size_t size, const owner *o, const limits *l, series *s,
                    outcome *result) {
  transcoded made;
  *result = (outcome){0};
  size_t room = next() % 4 ? 8 * size : next() % (size + 1);
  int status = duoscope_json(signal, text, size, room, &made);
  if (status) {
    if (status < -3 || status > 0 || !made.what || made.at > size || strlen(made.where) >= sizeof made.where) abort();
    if (status == -3 && room == 8 * size) abort();
    return -1;
  }
  if (made.size > room) abort();
  status = duoscope_add(d, made.data, made.size, o, l, s, NULL, 0, result);
  duoscope_json_free(made.data);
  if (status == -1) abort();
  return status;
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  FILE *file = fopen(arguments[3], "rb");
  size_t kept = 0;
  uint8_t kind;
  uint32_t size;
  while (file && kept < SAMPLES_MAX && fread(&kind, 1, 1, file) == 1 && fread(&size, 4, 1, file) == 1 && size < SIZE_MAX_BYTES) {
    uint8_t *data = malloc(size + 1);
    if (!data || fread(data, 1, size, file) != size) return 2;
    samples[kept].kind = kind;
    samples[kept].size = size;
    samples[kept++].data = data;
  }
  if (!kept) return 2;
  state = strtoull(arguments[2], NULL, 10) | 1;
  duoscope_seed(next());
  time_t end = time(NULL) + atoi(arguments[1]);
  const owner whose = {.retention_days = 7};
  const limits small = {.earliest = 1, .latest = UINT64_MAX / 2, .now = 2, .series_max = 50, .attributes_max = 6,
                        .attribute_bytes_max = 120, .body_bytes_max = 150, .depth_max = 32, .items_max = 200};
  decoder *decoders[KINDS];
  for (int k = 0; k < KINDS; k++) {
    decoders[k] = duoscope_open(k);
    duoscope_count_values(decoders[k]);
  }
  series *active = series_open();
  uint64_t rounds = 0, taken = 0;
  while (rounds % 256 || time(NULL) < end) {
    size_t from = next() % kept, other = next() % kept;
    bool is_json = samples[from].kind >= KINDS;
    int k = next() % 16 ? samples[from].kind % KINDS : (int)(next() % KINDS);
    uint8_t *work = malloc(SIZE_MAX_BYTES + 64);
    memcpy(work, samples[from].data, samples[from].size);
    size_t length = rounds % 8 ? mutate(work, samples[from].size, samples[other].data, samples[other].size) : samples[from].size;
    uint8_t *exact = malloc(length + 1) ;  // so that a byte read beyond the end is noticed
    memcpy(exact + 1, work, length);
    free(work);
    outcome result;
    int status = (is_json ? add_json(decoders[k], k, exact + 1, length, &whose, &small, active, &result)
                          : duoscope_add(decoders[k], exact + 1, length, &whose, &small, active, NULL, 0, &result));
    free(exact);
    taken += status == 0;
    uint64_t refused = 0;
    for (int v = 0; v < VERDICTS; v++)
      if (v != LIST_CUT && v != ATTRIBUTE_CUT && v != BODY_CUT && v != NESTING_CUT) refused += result.rejected[v];
    if (status < -3 || status > 0 || (status == 0 && result.stored + refused > result.items)) abort();
    if (rounds % 64 == 63)
      for (int each = 0; each < KINDS; each++) {
        if (next() % 4) duoscope_flush_values(decoders[each]);
        for (size_t t = 0; t < duoscope_tables(decoders[each]); t++) {
          size_t size = duoscope_native(decoders[each], t, NULL);
          uint8_t *native = malloc(size);
          if (!native || duoscope_native(decoders[each], t, native) != size) abort();
          free(native);
        }
        duoscope_clear(decoders[each]);
      }
    if (rounds % 4096 == 4095) series_rotate(active);
    rounds++;
  }
  for (int k = 0; k < KINDS; k++) duoscope_close(decoders[k]);
  series_close(active);
  for (size_t i = 0; i < kept; i++) free(samples[i].data);
  fclose(file);
  printf("%llu requests, %llu taken\n", (unsigned long long)rounds, (unsigned long long)taken);
  return 0;
}
