#define _GNU_SOURCE
#include "include/Crash.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { max_frames = 32, line_bytes = 1024, handler_stack_bytes = 64 * 1024 };

// Set by the linker: where the executable begins and where its text ends.
extern const char __executable_start[], etext[];

static uintptr_t stack_low, stack_high;

struct line {
    char text[line_bytes];
    size_t used;
};

static void put(struct line *line, const char *text) {
    while (*text != 0 && line->used + 1 < sizeof line->text) line->text[line->used++] = *text++;
}

static void put_hex(struct line *line, uintptr_t value) {
    char digits[2 * sizeof value + 3];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do digits[--at] = "0123456789abcdef"[value & 15]; while ((value >>= 4) != 0);
    digits[--at] = 'x';
    digits[--at] = '0';
    put(line, digits + at);
}

static void put_address(struct line *line, uintptr_t address) {
    uintptr_t start = (uintptr_t)__executable_start;
    if (address >= start && address < (uintptr_t)etext) {
        put_hex(line, address - start);
    } else {
        put_hex(line, address);
        put(line, "?");
    }
}

static const char *name_of(int signal) {
    switch (signal) {
        case SIGILL: return "SIGILL";
        case SIGTRAP: return "SIGTRAP";
        case SIGABRT: return "SIGABRT";
        case SIGBUS: return "SIGBUS";
        case SIGFPE: return "SIGFPE";
        default: return "SIGSEGV";
    }
}

static void context_of(const ucontext_t *context, uintptr_t *counter, uintptr_t *frame) {
#if defined(__x86_64__)
    *counter = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    *frame = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
#elif defined(__aarch64__)
    *counter = (uintptr_t)context->uc_mcontext.pc;
    *frame = (uintptr_t)context->uc_mcontext.regs[29];
#else
    *counter = 0;
    *frame = 0;
#endif
}

static void report(int signal, siginfo_t *info, void *pointer) {
    struct line line = {.used = 0};
    uintptr_t counter, frame;
    context_of(pointer, &counter, &frame);
    put(&line, "crash: ");
    put(&line, name_of(signal));
    if (signal == SIGSEGV || signal == SIGBUS) {
        put(&line, " at ");
        put_hex(&line, (uintptr_t)info->si_addr);
    }
    put(&line, ", frames: ");
    put_address(&line, counter);
    // A frame is two words: the caller's frame, the return address. Only what lies in the thread's stack is read, and
    // each must be above the last one, so that a torn chain ends the walk.
    for (int depth = 1; depth < max_frames; depth++) {
        if (frame < stack_low || frame + 2 * sizeof frame > stack_high || frame % sizeof frame != 0) break;
        uintptr_t caller = ((const uintptr_t *)frame)[0];
        uintptr_t address = ((const uintptr_t *)frame)[1];
        if (address == 0) break;
        put(&line, " ");
        // Into the call itself, not to what comes after it.
        put_address(&line, address - 1);
        if (caller <= frame) break;
        frame = caller;
    }
    put(&line, "\n");
    ssize_t written = write(2, line.text, line.used);
    (void)written;
    // SA_RESETHAND: returning runs into the fault again, and this time it kills. A signal that was sent is sent again.
    if (info->si_code <= 0) raise(signal);
}

int qp_report_crashes(void) {
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return -1;
    int result = pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    if (result != 0) return -1;
    stack_low = (uintptr_t)low;
    stack_high = stack_low + size;

    // A stack that has overflowed can't run its own report.
    void *memory = mmap(NULL, handler_stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -1;
    stack_t stack = {.ss_sp = memory, .ss_size = handler_stack_bytes};
    if (sigaltstack(&stack, NULL) != 0) return -1;

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = report;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    const int signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (sigaction(signals[i], &action, NULL) != 0) return -1;
    }
    return 0;
}
