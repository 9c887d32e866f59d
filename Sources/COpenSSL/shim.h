// SHA-256 by its plain functions: OpenSSL 3 marks them deprecated in favour of EVP, which costs an allocation and a
// lookup each, and brings the whole library along. Linked from the archive, so that a process pays for this one
// algorithm (22 KB) and not for loading libcrypto.so (1.9 ms of every start, measured).
#pragma once
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
