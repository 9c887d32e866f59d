#ifndef QP_CLOSING_H
#define QP_CLOSING_H

#include <errno.h>
#include <unistd.h>

/// Closes a descriptor that is of no use after a failure: -1, errno as it was.
static inline int closing(int fd) {
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

#endif
