#include "chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

static void *open_socket(void *context, int type, const char *endpoint) {
    void *socket = zmq_socket(context, type);
    if (!socket) fail("zmq_socket");
    int hwm = HIGH_WATER_MARK, interval = 1, linger = LINGER_MS, one = 1;
    zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &interval, sizeof interval);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    if (type == ZMQ_PUSH) zmq_setsockopt(socket, ZMQ_IMMEDIATE, &one, sizeof one);
    if ((type == ZMQ_PULL ? zmq_bind : zmq_connect)(socket, endpoint) != 0) fail(endpoint);
    return socket;
}

static void *new_context(void) {
    void *context = zmq_ctx_new();
    if (!context) fail("zmq_ctx_new");
    return context;
}

static void send_all(void *socket, const void *bytes, size_t size) {
    while (zmq_send(socket, bytes, size, 0) < 0)
        if (errno != EINTR) fail("zmq_send");
}

static size_t receive(void *socket, void *bytes) {
    int size;
    while ((size = zmq_recv(socket, bytes, MESSAGE_BYTES_MAX, 0)) < 0)
        if (errno != EINTR) fail("zmq_recv");
    const struct header *header = bytes;
    if (size < HEADER_BYTES || size > MESSAGE_BYTES_MAX || header->magic != MAGIC) {
        fprintf(stderr, "chain-bare: a message of %d bytes that is not the chain's\n", size);
        exit(1);
    }
    return (size_t)size;
}

static void nap(uint64_t ns) {
    struct timespec pause = {.tv_nsec = (long)ns};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static void sleep_until(uint64_t when_ns) {
    struct timespec when = {.tv_sec = (time_t)(when_ns / 1000000000u), .tv_nsec = (long)(when_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
    }
}

int run_source(const struct settings *s) {
    static union {
        struct header header;
        unsigned char bytes[MESSAGE_BYTES_MAX];
    } message;
    void *context = new_context();
    void *out = open_socket(context, ZMQ_PUSH, s->out);
    open_shared(s->counter);
    for (uint32_t i = HEADER_BYTES; i < s->bytes; i++) message.bytes[i] = (unsigned char)(i * 31);
    message.header = (struct header){.magic = MAGIC, .kind = PROBE, .sent_ns = now_ns()};
    send_all(out, &message, s->bytes);
    while (atomic_load_explicit(&shared->probes, memory_order_acquire) == 0) nap(1000000);

    message.header.kind = MEASURED;
    uint64_t start = now_ns() + 10000000u;
    for (uint64_t k = 0; k < s->count; k++) {
        uint64_t intended;
        if (s->mode == LATENCY) {
            // Open loop: the schedule does not wait for the chain, so that a stall is charged to every message it delays.
            intended = start + (uint64_t)((double)k * 1e9 / s->rate);
            if (now_ns() < intended) sleep_until(intended);
        } else {
            if (k % WINDOW_BATCH == 0)
                while (k + WINDOW_BATCH - atomic_load_explicit(&shared->received, memory_order_acquire) > s->window) nap(50000);
            intended = now_ns();
        }
        message.header.sequence = k;
        message.header.intended_ns = intended;
        message.header.sent_ns = s->mode == LATENCY ? now_ns() : intended;
        send_all(out, &message, s->bytes);
    }
    message.header.kind = END;
    message.header.sequence = s->count;
    send_all(out, &message, s->bytes);
    zmq_close(out);
    zmq_ctx_term(context);
    return 0;
}

int run_relay(const struct settings *s) {
    static union {
        struct header header;
        unsigned char bytes[MESSAGE_BYTES_MAX];
    } message;
    void *context = new_context();
    void *in = open_socket(context, ZMQ_PULL, s->in);
    void *out = open_socket(context, ZMQ_PUSH, s->out);
    do {
        size_t size = receive(in, &message);
        message.header.hops++;
        message.header.forwarded_ns = now_ns();
        send_all(out, &message, size);
    } while (message.header.kind != END);
    zmq_close(in);
    zmq_close(out);
    zmq_ctx_term(context);
    return 0;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/// Nearest rank: the smallest value that at least the given share of all values does not exceed.
static uint64_t percentile(const uint64_t *sorted, uint64_t n, double share) {
    uint64_t rank = (uint64_t)(share * (double)n);
    if ((double)rank < share * (double)n) rank++;
    return sorted[rank == 0 ? 0 : rank - 1];
}

static void print_percentiles(const char *name, uint64_t *values, uint64_t n) {
    qsort(values, n, sizeof *values, ascending);
    printf(",\"%s\":{\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}", name,
           (unsigned long long)percentile(values, n, 0.5), (unsigned long long)percentile(values, n, 0.99),
           (unsigned long long)percentile(values, n, 0.999), (unsigned long long)values[n - 1]);
}

struct tally {
    uint64_t received, duplicates, disordered, next, first_ns, last_ns, measured;
    uint64_t *from_intended, *from_sent;
};

static void count_message(struct tally *t, const struct header *header, const struct settings *s) {
    uint64_t arrived = now_ns();
    uint64_t sequence = header->sequence;
    if (sequence < t->next) {
        // Told apart well enough for a chain that must have neither.
        if (sequence + 1 == t->next) t->duplicates++; else t->disordered++;
        return;
    }
    t->next = sequence + 1;
    t->received++;
    atomic_store_explicit(&shared->received, t->received, memory_order_release);
    if (sequence < s->warmup || t->measured == s->count) return;
    if (t->measured == 0) t->first_ns = arrived;
    t->last_ns = arrived;
    t->from_intended[t->measured] = arrived - header->intended_ns;
    t->from_sent[t->measured] = arrived - header->sent_ns;
    t->measured++;
}

int run_sink(const struct settings *s) {
    static union {
        struct header header;
        unsigned char bytes[MESSAGE_BYTES_MAX];
    } message;
    struct tally t = {.from_intended = malloc(s->count * 8), .from_sent = malloc(s->count * 8)};
    if (!t.from_intended || !t.from_sent) fail("malloc");
    // Touched now, so that no page fault falls into the measurement.
    memset(t.from_intended, 1, s->count * 8);
    memset(t.from_sent, 1, s->count * 8);
    void *context = new_context();
    void *in = open_socket(context, ZMQ_PULL, s->in);
    open_shared(s->counter);
    for (;;) {
        receive(in, &message);
        if (message.header.kind == END) break;
        if (message.header.kind == PROBE)
            atomic_fetch_add_explicit(&shared->probes, 1, memory_order_release);
        else
            count_message(&t, &message.header, s);
    }
    uint64_t sent = message.header.sequence;
    zmq_close(in);
    zmq_ctx_term(context);
    if (t.measured < 2) {
        fprintf(stderr, "chain-bare: %llu messages measured, at least 2 are needed\n", (unsigned long long)t.measured);
        return 1;
    }
    printf("{\"label\":\"%s\",\"mode\":\"%s\",\"bytes\":%u,\"relays\":%u,\"sent\":%llu,\"received\":%llu,\"lost\":%llu,"
           "\"duplicates\":%llu,\"disordered\":%llu,\"measured\":%llu,\"per_second\":%.0f",
           s->label, s->mode == LATENCY ? "latency" : "throughput", s->bytes, message.header.hops, (unsigned long long)sent,
           (unsigned long long)t.received, (unsigned long long)(sent - t.received), (unsigned long long)t.duplicates,
           (unsigned long long)t.disordered, (unsigned long long)t.measured,
           (double)(t.measured - 1) * 1e9 / (double)(t.last_ns - t.first_ns));
    print_percentiles("from_intended_ns", t.from_intended, t.measured);
    print_percentiles("from_sent_ns", t.from_sent, t.measured);
    puts("}");
    return sent == t.received && t.duplicates == 0 && t.disordered == 0 ? 0 : 1;
}
