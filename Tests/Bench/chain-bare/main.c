#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

struct shared *shared;

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void fail(const char *what) {
    fprintf(stderr, "chain-bare: %s: %s\n", what, zmq_strerror(errno));
    exit(1);
}

void open_shared(const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) fail(path);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED) fail("mmap");
    close(file);
}

static void usage(void) {
    fputs(
        "usage: chain-bare drive  [--mode latency|throughput] [--rate PER_SECOND] [--count N] [--warmup N] [--window N]\n"
        "                         [--bytes N] [--hops N] [--timeout SECONDS] [--label TEXT]\n"
        "                         [--source PROGRAM] [--relay PROGRAM] [--sink PROGRAM]\n"
        "       chain-bare source --out ENDPOINT --counter FILE [--mode ...] [--rate ...] [--count N] ...\n"
        "       chain-bare relay  --in ENDPOINT --out ENDPOINT\n"
        "       chain-bare sink   --in ENDPOINT --counter FILE [--mode ...] [--count N] [--warmup N]\n"
        "drive runs source -> relays -> sink as processes over ipc and prints one JSON line. Programs given take the same\n"
        "arguments as this one's roles.\n",
        stderr);
    exit(2);
}

static uint64_t number(const char *name, const char *text, uint64_t low, uint64_t high) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *text == '\0' || *text == '-' || *end != '\0' || value < low || value > high) {
        fprintf(stderr, "chain-bare: --%s \"%s\": give a number from %llu to %llu\n", name, text, (unsigned long long)low,
                (unsigned long long)high);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv) {
    struct settings s = {
        .mode = LATENCY, .count = 20000, .warmup = UINT64_MAX, .rate = 1000, .window = WINDOW_DEFAULT,
        .bytes = MESSAGE_BYTES_DEFAULT, .hops = HOPS_DEFAULT, .timeout_s = TIMEOUT_S_DEFAULT, .label = "bare",
    };
    static const struct option options[] = {
        {"mode", 1, 0, 'm'},   {"rate", 1, 0, 'r'},    {"count", 1, 0, 'c'}, {"warmup", 1, 0, 'u'}, {"window", 1, 0, 'w'},
        {"bytes", 1, 0, 'b'},  {"hops", 1, 0, 'h'},    {"in", 1, 0, 'i'},    {"out", 1, 0, 'o'},    {"counter", 1, 0, 's'},
        {"label", 1, 0, 'l'},  {"timeout", 1, 0, 't'}, {"source", 1, 0, 1},  {"relay", 1, 0, 2},    {"sink", 1, 0, 3},
        {0},
    };
    if (argc < 2) usage();
    const char *role = argv[1];
    for (int option; (option = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1;) {
        switch (option) {
        case 'm':
            if (strcmp(optarg, "latency") && strcmp(optarg, "throughput")) usage();
            s.mode = optarg[0] == 'l' ? LATENCY : THROUGHPUT;
            break;
        case 'r': s.rate = (double)number("rate", optarg, 1, 1000000); break;
        case 'c': s.count = number("count", optarg, 1, 100000000); break;
        case 'u': s.warmup = number("warmup", optarg, 0, 100000000); break;
        case 'w': s.window = number("window", optarg, WINDOW_BATCH, HIGH_WATER_MARK); break;
        case 'b': s.bytes = (uint32_t)number("bytes", optarg, HEADER_BYTES, MESSAGE_BYTES_MAX); break;
        case 'h': s.hops = (uint32_t)number("hops", optarg, 1, HOPS_MAX); break;
        case 't': s.timeout_s = (uint32_t)number("timeout", optarg, 1, 3600); break;
        case 'i': s.in = optarg; break;
        case 'o': s.out = optarg; break;
        case 's': s.counter = optarg; break;
        case 'l':
            if (strlen(optarg) > LABEL_BYTES_MAX || strpbrk(optarg, "\"\\\n\t")) usage();
            s.label = optarg;
            break;
        case 1: case 2: case 3: s.program[option - 1] = optarg; break;
        default: usage();
        }
    }
    // A tenth, at most a second's worth at 1,000/s, warms caches, connections and the CPU up.
    if (s.warmup == UINT64_MAX) s.warmup = s.count / 10 < 1000 ? s.count / 10 : 1000;
    if (s.warmup >= s.count || optind != argc - 1) usage();
    if (!strcmp(role, "drive")) return drive(&s);
    if (!strcmp(role, "source") && s.out && s.counter) return run_source(&s);
    if (!strcmp(role, "relay") && s.in && s.out) return run_relay(&s);
    if (!strcmp(role, "sink") && s.in && s.counter) return run_sink(&s);
    usage();
}
