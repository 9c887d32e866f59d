#pragma once
#include <stdint.h>

/// Heap allocations (malloc, calloc, realloc, aligned variants) made so far by the calling thread, whoever asked for them:
/// Swift's runtime, libzmq, libstdc++. Linking this module replaces the executable's allocation functions by counting ones.
uint64_t allocations_of_this_thread(void);

/// Whether counting works in this build; sanitizers bring their own allocator and switch it off.
int allocations_are_counted(void);
