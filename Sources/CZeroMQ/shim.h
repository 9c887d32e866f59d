#include <signal.h>
#include <time.h>
#include <zmq.h>

// <poll.h> declares ppoll only for _GNU_SOURCE, which the Glibc module is built without. The header is not included here, so
// that `pollfd` stays Glibc's.
struct pollfd;
extern int ppoll(struct pollfd *fds, unsigned long nfds, const struct timespec *timeout, const sigset_t *sigmask);
