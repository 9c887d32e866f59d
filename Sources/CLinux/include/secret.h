// What handling keys needs of the machine.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/// Overwrites bytes with zeros; the barrier keeps the compiler from leaving it out.
static inline void qp_wipe(void *bytes, size_t count) {
    memset(bytes, 0, count);
    __asm__ __volatile__("" : : "r"(bytes) : "memory");
}

/// 1 when both are the same. Takes as long wherever they differ, so that the time tells a forger nothing.
static inline int qp_equal_in_constant_time(const void *one, const void *other, size_t count) {
    const volatile uint8_t *a = (const volatile uint8_t *)one, *b = (const volatile uint8_t *)other;
    uint8_t difference = 0;
    for (size_t i = 0; i < count; i++) difference |= (uint8_t)(a[i] ^ b[i]);
    return difference == 0;
}

/// Loads before it stay before loads after it.
static inline void qp_acquire_fence(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
