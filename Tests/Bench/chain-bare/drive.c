#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 24, TEXT_BYTES = 128, LINE_BYTES = 4096 };

static char directory[] = "/tmp/qp-XXXXXX";
static pid_t children[HOPS_MAX + 1];
static volatile sig_atomic_t timed_out;

static void on_alarm(int signal_number) {
    (void)signal_number;
    timed_out = 1;
    for (int i = 0; i <= HOPS_MAX; i++)
        if (children[i] > 0) kill(children[i], SIGKILL);
}

static void endpoint(char *text, uint32_t hop) { snprintf(text, TEXT_BYTES, "ipc://%s/%u", directory, hop); }

static void clean(uint32_t hops) {
    char path[TEXT_BYTES];
    for (uint32_t hop = 1; hop <= hops; hop++) {
        endpoint(path, hop);
        unlink(path + strlen("ipc://"));
    }
    snprintf(path, sizeof path, "%s/counter", directory);
    unlink(path);
    rmdir(directory);
}

/// Starts the process at a position of the chain: 0 is the source, `hops` the sink, whose standard output goes to `output`.
static pid_t start(const struct settings *s, uint32_t position, int output) {
    static char numbers[6][TEXT_BYTES], in[TEXT_BYTES], out[TEXT_BYTES], counter[TEXT_BYTES];
    const char *role = position == 0 ? "source" : position == s->hops ? "sink" : "relay";
    const char *program = s->program[position == 0 ? 0 : position == s->hops ? 2 : 1];
    snprintf(numbers[0], TEXT_BYTES, "%llu", (unsigned long long)s->count);
    snprintf(numbers[1], TEXT_BYTES, "%llu", (unsigned long long)s->warmup);
    snprintf(numbers[2], TEXT_BYTES, "%.0f", s->rate);
    snprintf(numbers[3], TEXT_BYTES, "%llu", (unsigned long long)s->window);
    snprintf(numbers[4], TEXT_BYTES, "%u", s->bytes);
    snprintf(counter, sizeof counter, "%s/counter", directory);
    endpoint(in, position);
    endpoint(out, position + 1);
    const char *arguments[ARGUMENTS_MAX] = {
        program ? program : "chain-bare", role, "--mode", s->mode == LATENCY ? "latency" : "throughput",
        "--count", numbers[0], "--warmup", numbers[1], "--rate", numbers[2], "--window", numbers[3],
        "--bytes", numbers[4], "--counter", counter, "--label", s->label,
    };
    int n = 18;
    if (position > 0) arguments[n++] = "--in", arguments[n++] = in;
    if (position < s->hops) arguments[n++] = "--out", arguments[n++] = out;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child > 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    if (position == s->hops) dup2(output, STDOUT_FILENO);
    execv(program ? program : "/proc/self/exe", (char *const *)arguments);
    fprintf(stderr, "chain-bare: cannot start %s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

/// Waits for all; the first that fails takes the others with it.
static int reap(uint32_t hops, double *cpu_us) {
    int failures = 0;
    for (uint32_t left = hops + 1; left > 0;) {
        int status;
        struct rusage usage;
        pid_t child = wait4(-1, &status, 0, &usage);
        if (child < 0) {
            if (errno == EINTR) continue;
            fail("wait4");
        }
        left--;
        *cpu_us += 1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
        for (uint32_t i = 0; i <= hops; i++) {
            if (children[i] != child) continue;
            children[i] = 0;
            if (status == 0) continue;
            fprintf(stderr, "chain-bare: process %u of the chain ended with status %#x\n", i, (unsigned)status);
            failures++;
            // The sink reports loss by its status, after all others are done.
            for (uint32_t j = 0; j <= hops; j++)
                if (children[j] > 0) kill(children[j], SIGKILL);
        }
    }
    return failures;
}

int drive(const struct settings *s) {
    if (!mkdtemp(directory)) fail("mkdtemp");
    char path[TEXT_BYTES];
    snprintf(path, sizeof path, "%s/counter", directory);
    int counter = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (counter < 0 || ftruncate(counter, sizeof(struct shared)) != 0) fail(path);
    int result[2];
    if (pipe2(result, O_CLOEXEC) != 0) fail("pipe2");
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    alarm(s->timeout_s);

    // From the end, so that each finds its listener; the source waits for the probe to pass all the same.
    for (uint32_t position = s->hops + 1; position-- > 0;) children[position] = start(s, position, result[1]);
    close(result[1]);
    double cpu_us = 0;
    int failures = reap(s->hops, &cpu_us);
    clean(s->hops);
    if (timed_out) {
        fprintf(stderr, "chain-bare: not done after %u s; give a larger --timeout or fewer messages\n", s->timeout_s);
        return 1;
    }
    char line[LINE_BYTES];
    ssize_t size = read(result[0], line, sizeof line - 1);
    if (size < 2 || line[size - 1] != '\n' || line[size - 2] != '}') {
        fprintf(stderr, "chain-bare: the sink gave no result\n");
        return 1;
    }
    line[size - 2] = '\0';
    printf("%s,\"cpu_us_per_message\":%.2f}\n", line, cpu_us / (double)s->count);
    return failures ? 1 : 0;
}
