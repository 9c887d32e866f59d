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
//   spam               ready, writes lines as fast as they are taken
//
// Messages to $NOTIFY_SOCKET are sd_notify(3) datagrams, written by hand: what any language can do.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void spam(void) {
    static char lines[64 * 100];
    for (size_t i = 0; i < sizeof lines; i++) lines[i] = i % 100 == 99 ? '\n' : 'x';
    for (unsigned turn = 0;; turn++) {
        if (write(1, lines, sizeof lines) < 0 && errno != EINTR && errno != EAGAIN) exit(74);
        if (turn % 64 == 0) notify("WATCHDOG=1");
    }
}

int main(int count, char **arguments) {
    const char *fault = count > 1 ? arguments[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(fault, "exit") == 0) {
        fprintf(stderr, "misbehave: exiting as told\n");
        return count > 2 ? atoi(arguments[2]) : 1;
    }
    if (strcmp(fault, "orphan") == 0) leave_orphan();
    if (strcmp(fault, "silent") == 0) sleep_for_ever();
    if (strcmp(fault, "stubborn") == 0) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
    }
    notify("READY=1\nSTATUS=misbehaving on purpose");
    if (strcmp(fault, "hang") == 0) sleep_for_ever();
    if (strcmp(fault, "freeze") == 0) raise(SIGSTOP);
    if (strcmp(fault, "mute") == 0) {
        close(1);
        close(2);
    }
    if (strcmp(fault, "spam") == 0) spam();
    if (strcmp(fault, "well") == 0 || strcmp(fault, "stubborn") == 0 || strcmp(fault, "mute") == 0) live();
    fprintf(stderr, "misbehave: no such fault: '%s'\n", fault);
    return 64;
}
