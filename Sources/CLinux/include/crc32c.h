// What the journal needs of the machine: CRC-32C, and one word that is stored last and loaded first.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli) of `count` bytes, going on from `seed` (0 to begin): by the processor's instruction where it
/// has one (SSE4.2), else by table.
uint32_t qp_crc32c(uint32_t seed, const void *bytes, size_t count);
/// The same by table, for tests.
uint32_t qp_crc32c_portable(uint32_t seed, const void *bytes, size_t count);

/// Stores a word after everything stored before it; `at` is 8-byte aligned.
static inline void qp_store_release(void *at, uint64_t word) {
    __atomic_store_n((uint64_t *)at, word, __ATOMIC_RELEASE);
}
/// Loads a word before everything loaded after it; `at` is 8-byte aligned.
static inline uint64_t qp_load_acquire(const void *at) {
    return __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
}
