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
/// Loads a word after everything that this thread has stored before is visible to others (a full fence).
static inline uint64_t qp_fence_and_load(const void *at) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n((const uint64_t *)at, __ATOMIC_SEQ_CST);
}
/// Replaces `expected` by `word`; 1 if it was `expected`. A full fence.
static inline int qp_compare_and_swap(void *at, uint64_t expected, uint64_t word) {
    return __atomic_compare_exchange_n(
        (uint64_t *)at, &expected, word, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
/// Loads a word before everything loaded after it; `at` is 8-byte aligned.
static inline uint64_t qp_load_acquire(const void *at) {
    return __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
}
