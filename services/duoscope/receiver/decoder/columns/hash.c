#include "columns/hash.h"

#include "wire/wire.h"

static inline uint64_t mix(uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Eight bytes a multiplication. Stable for ever: the series ids that are stored are made with it.
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed) {
  const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd1b54a32d192ed03u, k2 = 0x8cb92ba72f3d8dd7u;
  const uint8_t *p = data;
  // The seed is stirred before the bytes come: else one more in the seed is one less in a byte.
  uint64_t h = mix(seed ^ k2, k1 ^ (size + k0)), tail = 0;
  for (; size > 8; size -= 8, p += 8) h = mix(h ^ load64(p) ^ k2, k1);
  if (size) memcpy(&tail, p, size);
  return mix(mix(h ^ tail ^ k0, k2), k1 ^ size);
}

uint64_t hash_secret;
