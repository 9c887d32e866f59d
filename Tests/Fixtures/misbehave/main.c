// An agent with a fault to order, for the end-to-end tests: `misbehave FAULT [ARGUMENT]`.
//
//   well               ready, pings its watchdog, ends on SIGTERM
//   exit CODE          says why on standard error and exits at once
//   silent             never says that it is ready
//   hang               says that it is ready, then never again that it lives
//   freeze             says that it is ready, then stops itself (SIGSTOP)
//   stubborn           ready, ignores SIGTERM and SIGINT
//   orphan             leaves a grandchild in a session of its own behind, names its pid, and exits 3
//   mute               ready, closes standard output and error, and goes on
//   closer             ready, closes every descriptor it has, and goes on
//   holder             leaves a child that holds all its descriptors, names its pid, and exits 3
//   slow               asks for more time (EXTEND_TIMEOUT_USEC) three times before it is ready, and before it ends
//   spam               ready, writes lines as fast as they are taken
//   bomb               ready, and forks as fast as it is let; every child in a session of its own, deaf to SIGTERM
//   hog                ready, then takes and touches memory until there is no more
//   hogchild           the same in a child; the leader lives on
//   spin               ready, and burns as much time as it gets
//   hold               ready, leaves a child behind that holds every descriptor it inherited, and ends on SIGTERM
//   closer             ready, closes every descriptor it has, and goes on
//   brood              ready, with a child and a grandchild that ignore SIGTERM
//   trace PID          holds a process as a debugger does, until it is ended
//   inside             says who it is, what its limits are and what network it sees, then does well
//
// Messages to $NOTIFY_SOCKET are sd_notify(3) datagrams, written by hand: what any language can do.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void notify(const char *message) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path) return;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address);
    close(fd);
}

// A quarter of the watchdog's time, else 100 ms.
static useconds_t ping_interval(void) {
    const char *text = getenv("WATCHDOG_USEC");
    long long span = text == NULL ? 0 : atoll(text);
    return span > 0 ? (useconds_t)(span / 4) : 100000;
}

static void live(void) {
    useconds_t interval = ping_interval();
    for (;;) {
        notify("WATCHDOG=1");
        usleep(interval);
    }
}

static void sleep_for_ever(void) {
    for (;;) pause();
}

// Forks twice and starts a session of its own, as daemons do.
static void leave_orphan(void) {
    int ends[2];
    pid_t grandchild = 0;
    if (pipe(ends) != 0) exit(70);
    pid_t child = fork();
    if (child == 0) {
        setsid();
        grandchild = fork();
        if (grandchild == 0) {
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            close(ends[0]);
            close(ends[1]);
            sleep_for_ever();
        }
        if (write(ends[1], &grandchild, sizeof grandchild) < 0) _exit(70);
        _exit(0);
    }
    if (child < 0 || read(ends[0], &grandchild, sizeof grandchild) != sizeof grandchild) exit(70);
    printf("grandchild %d\n", (int)grandchild);
    fflush(stdout);
    exit(3);
}

static void hold(void) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_IGN);
        sleep_for_ever();
    }
    printf("holder %d\n", (int)child);
    fflush(stdout);
    exit(3);
}

// Longer than the time it is given each time, so that only what it asks for keeps it alive.
static void ask_for_time(void) {
    for (int turn = 0; turn < 3; turn++) {
        notify("EXTEND_TIMEOUT_USEC=60000000");
        usleep(800000);
    }
}

static volatile sig_atomic_t is_told_to_end;

static void told_to_end(int number) {
    (void)number;
    is_told_to_end = 1;
}

static void be_slow(void) {
    signal(SIGTERM, told_to_end);
    ask_for_time();
    notify("READY=1\nSTATUS=slow but steady");
    while (!is_told_to_end) {
        notify("WATCHDOG=1");
        usleep(20000);
    }
    ask_for_time();
    exit(0);
}

static void spam(void) {
    static char lines[64 * 100];
    for (size_t i = 0; i < sizeof lines; i++) lines[i] = i % 100 == 99 ? '\n' : 'x';
    for (unsigned turn = 0;; turn++) {
        if (write(1, lines, sizeof lines) < 0 && errno != EINTR && errno != EAGAIN) exit(74);
        if (turn % 64 == 0) notify("WATCHDOG=1");
    }
}

// Children of children; who is refused one more waits a little and tries again. Bounded by a count that all share, so
// that a test gone wrong does not take the machine with it.
static void bomb(void) {
    enum { MOST = 4096 };
    atomic_int *forks = mmap(NULL, sizeof *forks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (forks == MAP_FAILED) exit(70);
    signal(SIGTERM, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    if (fork() != 0) return;
    while (atomic_load(forks) < MOST) {
        setsid();
        if (fork() < 0) usleep(1000);
        else atomic_fetch_add(forks, 1);
    }
    sleep_for_ever();
}

static void hog(void) {
    size_t step = 1 << 20;
    for (;;) {
        // Volatile: what nobody reads, a compiler that optimizes neither takes nor fills.
        volatile char *memory = malloc(step);
        if (memory == NULL) abort();
        for (size_t at = 0; at < step; at += 512) memory[at] = 1;
    }
}

static void spin(void) {
    for (volatile unsigned long turn = 0;; turn++)
        if (turn % (1UL << 28) == 0) notify("WATCHDOG=1");
}

static void leave_child(int generations) {
    if (generations == 0 || fork() != 0) return;
    setsid();
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    leave_child(generations - 1);
    sleep_for_ever();
}

static void print_file(const char *name, const char *path) {
    char line[512];
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) printf("%s: %s", name, line);
    fclose(file);
}

static void tell_inside(void) {
    gid_t groups[64];
    int count = getgroups(64, groups);
    printf("user: %u %u %u %u\n", getuid(), geteuid(), getgid(), getegid());
    printf("groups:");
    for (int i = 0; i < count; i++) printf(" %u", groups[i]);
    printf("\nroot again: %s\n", setuid(0) == 0 ? "yes" : "no");
    print_file("limit", "/proc/self/limits");
    print_file("group", "/proc/self/cgroup");
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) == 0)
        for (struct ifaddrs *each = all; each != NULL; each = each->ifa_next)
            printf("network: %s %s\n", each->ifa_name, each->ifa_flags & IFF_UP ? "up" : "down");
    const char *run = getenv("QP_RUN_DIR");
    const char *agent = getenv("QP_AGENT");
    char path[512];
    snprintf(path, sizeof path, "%s/agents/%s/own", run ? run : "", agent ? agent : "");
    int own = open(path, O_RDWR | O_CREAT, 0600);
    printf("own file: %s\n", own >= 0 ? "yes" : strerror(errno));
    snprintf(path, sizeof path, "%s/agents/%s/incarnation", run ? run : "", agent ? agent : "");
    printf("supervisor's file: %s\n", unlink(path) == 0 ? "removed" : strerror(errno));
    snprintf(path, sizeof path, "%s/control.sock", run ? run : "");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int control = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("control: %s\n", connect(control, (struct sockaddr *)&address, sizeof address) == 0 ? "open" : strerror(errno));
    printf("told\n");
}

static void trace(pid_t pid) {
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == -1) exit(77);
    printf("holding\n");
    fflush(stdout);
    sleep_for_ever();
}

int main(int count, char **arguments) {
    const char *fault = count > 1 ? arguments[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(fault, "exit") == 0) {
        fprintf(stderr, "misbehave: exiting as told\n");
        return count > 2 ? atoi(arguments[2]) : 1;
    }
    if (strcmp(fault, "orphan") == 0) leave_orphan();
    if (strcmp(fault, "trace") == 0 && count > 2) trace(atoi(arguments[2]));
    if (strcmp(fault, "silent") == 0) sleep_for_ever();
    if (strcmp(fault, "holder") == 0) hold();
    if (strcmp(fault, "slow") == 0) be_slow();
    if (strcmp(fault, "stubborn") == 0) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
    }
    if (strcmp(fault, "inside") == 0) tell_inside();
    if (strcmp(fault, "brood") == 0 || strcmp(fault, "hold") == 0) leave_child(strcmp(fault, "brood") == 0 ? 2 : 1);
    notify("READY=1\nSTATUS=misbehaving on purpose");
    if (strcmp(fault, "bomb") == 0) bomb();
    if (strcmp(fault, "hog") == 0 || (strcmp(fault, "hogchild") == 0 && fork() == 0)) hog();
    if (strcmp(fault, "spin") == 0) spin();
    if (strcmp(fault, "closer") == 0)
        for (int fd = 0; fd < 1024; fd++) close(fd);
    if (strcmp(fault, "hang") == 0) sleep_for_ever();
    if (strcmp(fault, "freeze") == 0) raise(SIGSTOP);
    if (strcmp(fault, "mute") == 0) {
        close(1);
        close(2);
    }
    if (strcmp(fault, "closer") == 0) {
        for (int fd = 0; fd < 1024; fd++) close(fd);
        live();
    }
    if (strcmp(fault, "spam") == 0) spam();
    static const char *const living[] = {"well", "stubborn", "mute",   "bomb",  "hogchild",
                                         "hold", "closer",   "brood", "inside"};
    for (size_t i = 0; i < sizeof living / sizeof *living; i++)
        if (strcmp(fault, living[i]) == 0) live();
    fprintf(stderr, "misbehave: no such fault: '%s'\n", fault);
    return 64;
}
