// Empty networks, and trials of what the kernel lets us do.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Brings up the loopback of the calling thread's network namespace: programs that talk to themselves over 127.0.0.1
/// expect one (as systemd's PrivateNetwork= does).
static int raise_loopback(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1) return -1;
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    strcpy(request.ifr_name, "lo");
    int result = ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
    return result;
}

struct made {
    int descriptor;
    int error;
};

static void *make_namespace(void *context) {
    struct made *made = context;
    if (unshare(CLONE_NEWNET) == 0) {
        (void)raise_loopback();
        made->descriptor = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    }
    if (made->descriptor == -1) made->error = errno;
    return NULL;
}

int qp_make_network_namespace(void) {
    // A thread of its own, because unshare moves the thread that calls it.
    struct made made = {.descriptor = -1};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, make_namespace, &made);
    if (error == 0) pthread_join(thread, NULL);
    errno = error ? error : made.error;
    return made.descriptor;
}

static int write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file == -1) return -1;
    ssize_t length = (ssize_t)strlen(text);
    int result = write(file, text, (size_t)length) == length ? 0 : -1;
    int error = errno;
    close(file);
    errno = error;
    return result;
}

int qp_unshare_network_as_ourselves(void) {
    char users[32], groups[32];
    snprintf(users, sizeof users, "%u %u 1", geteuid(), geteuid());
    snprintf(groups, sizeof groups, "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1) return -1;
    // Without this the map of groups may not be written by the unprivileged (user_namespaces(7)).
    if (write_file("/proc/self/setgroups", "deny") == -1 && errno != ENOENT) return -1;
    if (write_file("/proc/self/gid_map", groups) == -1 || write_file("/proc/self/uid_map", users) == -1) return -1;
    (void)raise_loopback();
    return 0;
}

/// Runs one attempt in a child; its errno, 0 when it went well.
static int attempt(int (*body)(int), int argument) {
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) syscall(SYS_exit_group, body(argument) == -1 ? errno : 0);
    if (pid == -1) return errno;
    int status;
    pid_t ended;
    do {
        ended = waitpid((pid_t)pid, &status, 0);
    } while (ended == -1 && errno == EINTR);
    if (ended != pid || !WIFEXITED(status)) return EIO;
    return WEXITSTATUS(status);
}

static int enter(int file) { return write(file, "0", 1) == 1 ? 0 : -1; }

int qp_cgroup_admits(int file) { return attempt(enter, file); }

static int leave(int unused) {
    (void)unused;
    return qp_unshare_network_as_ourselves();
}

int qp_can_unshare_network(void) { return attempt(leave, 0); }

int qp_cgroup_watch_memory(int group, int event) {
    int watched = openat(group, "memory.oom_control", O_RDONLY | O_CLOEXEC);
    if (watched == -1) return -1;
    int control = openat(group, "cgroup.event_control", O_WRONLY | O_CLOEXEC);
    int result = -1;
    if (control != -1) {
        char line[32];
        int length = snprintf(line, sizeof line, "%d %d", event, watched);
        result = write(control, line, (size_t)length) == length ? 0 : -1;
    }
    int error = errno;
    close(watched);
    if (control != -1) close(control);
    errno = error;
    return result;
}
