// The hash of texts: of what is stored with a fixed seed, of hash tables with a secret one.
#ifndef DUOSCOPE_HASH_H
#define DUOSCOPE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);
// Where hash tables begin to look: a secret of this process, so that nobody can choose texts that collide.
extern uint64_t hash_secret;

#endif
