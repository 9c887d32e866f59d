// An agent-launcher that dies at the worst moment, for the tests of the supervisor: it has made the first process and is
// killed before it says so, while that process is not yet on record. Any further launcher is like the real one.
//
// Calls of the launcher's own code end here instead of in the C library, because this program defines them.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// How long a new-born takes to write down who it is: longer than a restart.
enum { SLOW_BIRTH_US = 400000 };

static char marker[4096];

// Its one use in the launcher is the reply that a process was made.
ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    int file = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file != -1) kill(getpid(), SIGKILL);
    return (ssize_t)syscall(SYS_sendmsg, socket, message, flags);
}

// Its one use in the launcher is the birth.
ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    usleep(SLOW_BIRTH_US);
    return (ssize_t)syscall(SYS_pwrite64, file, bytes, count, offset);
}

int main(int count, char **arguments) {
    (void)count;
    snprintf(marker, sizeof marker, "%s.died", arguments[0]);
    return qp_launcher_serve(0, NULL);
}
