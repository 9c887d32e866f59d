// The bare reference for `make bench`: a chain source -> relay... -> sink in plain C on libzmq, PUSH/PULL over ipc.
#pragma once
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>

enum {
    MESSAGE_BYTES_DEFAULT = 200,
    HEADER_BYTES = 64,         // sizeof(struct header), as long as the platform's own header plus its fields
    MESSAGE_BYTES_MAX = 65536,
    WINDOW_DEFAULT = 4000,     // messages in flight at full speed
    WINDOW_BATCH = 64,         // sends between two looks at the sink's counter
    HOPS_DEFAULT = 4,
    HOPS_MAX = 16,
    HIGH_WATER_MARK = 100000,  // above the window: the window, not libzmq, limits what is in flight
    LINGER_MS = 5000,          // the end mark must leave the process that forwards it
    TIMEOUT_S_DEFAULT = 120,
    LABEL_BYTES_MAX = 64,      // and nothing in it that JSON would escape
};

enum mode { LATENCY, THROUGHPUT };

enum kind { PROBE = 1, MEASURED = 2, END = 3 };

// The head of each message; the rest is filled with a pattern. Times are CLOCK_MONOTONIC nanoseconds.
struct header {
    uint32_t magic;
    uint16_t kind;
    uint16_t hops;          // relays passed
    uint64_t sequence;      // of measured messages, from 0; in the end mark: how many were sent
    uint64_t intended_ns;   // when the source should have sent it
    uint64_t sent_ns;       // when it did
    uint64_t forwarded_ns;  // when the last relay sent it on
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct header) == HEADER_BYTES, "the header is 64 bytes");

enum { MAGIC = 0x43504e51 };

// A file mapped by source and sink: how the source knows that the chain is up, and how much has arrived.
struct shared {
    _Atomic uint64_t probes;
    _Atomic uint64_t received;
};

struct settings {
    enum mode mode;
    uint64_t count;
    uint64_t warmup;       // measured messages left out of the figures, at the start
    double rate;           // messages a second, latency mode
    uint64_t window;       // throughput mode
    uint32_t bytes;
    uint32_t hops;
    uint32_t timeout_s;
    const char *in;        // PULL binds here
    const char *out;       // PUSH connects here
    const char *counter;   // path of the shared file
    const char *label;     // copied into the result
    const char *program[3];  // drive: executables for source, relay, sink; NULL is this one
};

uint64_t now_ns(void);
void fail(const char *what);  // prints the errno of what failed, exits 1
void open_shared(const char *path);
extern struct shared *shared;

int run_source(const struct settings *settings);
int run_relay(const struct settings *settings);
int run_sink(const struct settings *settings);
int drive(const struct settings *settings);
