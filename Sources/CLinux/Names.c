#define _GNU_SOURCE
#include "CLinux.h"
#include "Closing.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int abstract_address(const char *name, struct sockaddr_un *address, socklen_t *length) {
    size_t count = strlen(name);
    if (count == 0 || count >= sizeof address->sun_path) {
        errno = EINVAL;
        return -1;
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + 1, name, count);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + count);
    return 0;
}

int qp_claim_name(const char *name) {
    struct sockaddr_un address;
    socklen_t length;
    if (abstract_address(name, &address, &length) == -1) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return -1;
    if (bind(fd, (struct sockaddr *)&address, length) == -1) return closing(fd);
    return listen(fd, 16) == -1 ? closing(fd) : fd;
}

int qp_name_holder(const char *name, pid_t *pid, uid_t *uid) {
    struct sockaddr_un address;
    socklen_t length;
    if (abstract_address(name, &address, &length) == -1) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return -1;
    if (connect(fd, (struct sockaddr *)&address, length) == -1) return closing(fd);
    int result = qp_peer_credentials(fd, pid, uid);
    close(fd);
    return result;
}

int qp_has_name(int fd, const char *name) {
    struct sockaddr_un wanted, address = {0};
    socklen_t expected, length = sizeof address;
    if (abstract_address(name, &wanted, &expected) == -1) return 0;
    if (getsockname(fd, (struct sockaddr *)&address, &length) == -1) return 0;
    return length == expected && memcmp(&wanted, &address, length) == 0;
}

void qp_open_missing_stdio(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
        // The lowest that is free is this one.
        if (open("/dev/null", O_RDWR) == -1) return;
    }
}
