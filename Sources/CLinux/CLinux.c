#define _GNU_SOURCE
#include "CLinux.h"
#include "Closing.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int qp_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int qp_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int qp_pidfd_getfd(int pidfd, int descriptor) { return (int)syscall(SYS_pidfd_getfd, pidfd, descriptor, 0); }

int qp_listening_path(int socket, char *path, size_t size) {
    int listens = 0;
    socklen_t length = sizeof listens;
    if (getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == -1 || !listens) return 0;
    return qp_bound_path(socket, path, size);
}

int qp_bound_path(int socket, char *path, size_t size) {
    struct sockaddr_un address = {0};
    socklen_t length = sizeof address;
    if (getsockname(socket, (struct sockaddr *)&address, &length) == -1 || address.sun_family != AF_UNIX) return 0;
    size_t count = length > offsetof(struct sockaddr_un, sun_path) ? length - offsetof(struct sockaddr_un, sun_path) : 0;
    count = strnlen(address.sun_path, count);
    if (count == 0 || count >= size) return 0;
    memcpy(path, address.sun_path, count);
    path[count] = 0;
    return 1;
}

// linux/pidfd.h of 6.15, which the headers of this system may not have yet.
struct pidfd_exit_info {
    uint64_t mask;
    uint64_t cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
enum { PIDFD_EXIT_KNOWN = 1 << 3 };

int qp_pidfd_exit_status(int pidfd, int *status) {
    struct pidfd_exit_info info = {.mask = PIDFD_EXIT_KNOWN};
    if (ioctl(pidfd, _IOWR(0xFF, 11, struct pidfd_exit_info), &info) == -1) return 0;
    if (!(info.mask & PIDFD_EXIT_KNOWN)) return 0;
    *status = info.exit_code;
    return 1;
}

int qp_spawn_in(posix_spawn_file_actions_t *actions, const char *folder) {
    int error = posix_spawn_file_actions_addchdir_np(actions, folder);
    if (error != 0) errno = error;
    return error == 0 ? 0 : -1;
}

static void fill_exit(struct qp_exit *out, const siginfo_t *info) {
    memset(out, 0, sizeof *out);
    out->pid = info->si_pid;
    out->code = info->si_code;
    out->status = info->si_status;
}

int qp_peek_any_exit(struct qp_exit *out) {
    siginfo_t info = {0};
    int result;
    do {
        result = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    } while (result == -1 && errno == EINTR);
    fill_exit(out, &info);
    return result;
}

int qp_peek_exit(pid_t pid, struct qp_exit *out) {
    siginfo_t info = {0};
    int result;
    do {
        result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    } while (result == -1 && errno == EINTR);
    fill_exit(out, &info);
    return result;
}

int qp_reap(pid_t pid, struct qp_exit *out) {
    siginfo_t info = {0};
    struct rusage usage = {0};
    long result;
    do {
        // The raw call, because glibc's waitid hides the kernel's rusage argument.
        result = syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG, &usage);
    } while (result == -1 && errno == EINTR);
    fill_exit(out, &info);
    if (result == 0 && out->pid != 0) {
        out->user_us = usage.ru_utime.tv_sec * 1000000L + usage.ru_utime.tv_usec;
        out->system_us = usage.ru_stime.tv_sec * 1000000L + usage.ru_stime.tv_usec;
        out->max_rss_bytes = usage.ru_maxrss * 1024L;
    }
    return (int)result;
}

int qp_cgroup_birth_survives(int directory) {
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)directory};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) syscall(SYS_exit_group, 0);
    if (pid == -1) return 0;
    int status;
    pid_t ended;
    do {
        ended = waitpid((pid_t)pid, &status, 0);
    } while (ended == -1 && errno == EINTR);
    return ended == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int qp_set_child_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int qp_get_rlimit(pid_t pid, int resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit64 limit;
    if (prlimit64(pid, resource, NULL, &limit) == -1) return -1;
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}

int qp_open(const char *path, int flags, mode_t mode) { return open(path, flags | O_CLOEXEC, mode); }

int qp_open_entry(int directory, const char *name) {
    return openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int qp_give_away(int fd, uid_t uid, gid_t gid) { return fchownat(fd, "", uid, gid, AT_EMPTY_PATH); }

const int32_t qp_rlimit_processes = RLIMIT_NPROC;

int qp_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int qp_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags == -1 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int qp_punch_hole(int fd, int64_t offset, int64_t bytes) {
    return fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, bytes);
}

ssize_t qp_splice_to_file(int pipe, int file, int64_t *offset, size_t count) {
    loff_t at = *offset;
    ssize_t moved;
    do {
        moved = splice(pipe, NULL, file, &at, count, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    } while (moved == -1 && errno == EINTR);
    if (moved > 0) *offset = at;
    return moved;
}

int qp_set_pipe_size(int fd, int bytes) { return fcntl(fd, F_SETPIPE_SZ, bytes); }

ssize_t qp_send_with_fds(int socket, const void *data, size_t length, const int *fds, int count, int flags) {
    if (count < 0 || count > QP_LAUNCH_MAX_FDS) {
        errno = EINVAL;
        return -1;
    }
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * QP_LAUNCH_MAX_FDS)];
    } control = {0};
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *item = CMSG_FIRSTHDR(&message);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(item), fds, sizeof(int) * (size_t)count);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
    } while (sent == -1 && errno == EINTR);
    return sent;
}

static void close_all(const int *fds, int count) {
    for (int i = 0; i < count; i++) close(fds[i]);
}

ssize_t qp_recv_with_fds(int socket, void *data, size_t length, int *fds, int *count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * QP_LAUNCH_MAX_FDS)];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t received;
    do {
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (received == -1 && errno == EINTR);
    int room = *count;
    *count = 0;
    if (received == -1) return -1;
    int overflow = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
        int arrived = (int)((item->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < arrived; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(item) + sizeof(int) * (size_t)i, sizeof fd);
            if (*count < room) {
                fds[(*count)++] = fd;
            } else {
                close(fd);
                overflow = 1;
            }
        }
    }
    if (overflow) {
        close_all(fds, *count);
        *count = 0;
        errno = EMSGSIZE;
        return -1;
    }
    return received;
}

int qp_pass_credentials(int socket) {
    int on = 1;
    return setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

ssize_t qp_recv_with_credentials(
    int socket, void *data, size_t length, pid_t *pid, uid_t *uid, int *truncated, int *attached) {
    union {
        struct cmsghdr header;
        // Room for credentials and as many descriptors as the kernel lets anybody attach (SCM_MAX_FD 253).
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 253)];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t received;
    do {
        received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (received == -1 && errno == EINTR);
    *pid = 0;
    *uid = (uid_t)-1;
    *truncated = 0;
    *attached = -1;
    if (received == -1) return -1;
    *truncated = (message.msg_flags & MSG_TRUNC) != 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != SOL_SOCKET) continue;
        if (item->cmsg_type == SCM_CREDENTIALS && item->cmsg_len >= CMSG_LEN(sizeof(struct ucred))) {
            struct ucred who;
            memcpy(&who, CMSG_DATA(item), sizeof who);
            *pid = who.pid;
            *uid = who.uid;
        } else if (item->cmsg_type == SCM_RIGHTS) {
            size_t arrived = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < arrived; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(item) + sizeof(int) * i, sizeof fd);
                if (*attached == -1) *attached = fd;
                else close(fd);
            }
        }
    }
    return received;
}

int qp_peer_credentials(int socket, pid_t *pid, uid_t *uid) {
    struct ucred who;
    socklen_t length = sizeof who;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &length) == -1) return -1;
    *pid = who.pid;
    *uid = who.uid;
    return 0;
}

static int unix_address(const char *path, struct sockaddr_un *address) {
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address->sun_path) {
        errno = length == 0 ? EINVAL : ENAMETOOLONG;
        return -1;
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    return 0;
}

static int bound_unix(const char *path, int type) {
    struct sockaddr_un address;
    if (unix_address(path, &address) == -1) return -1;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return -1;
    // fchmod before bind sets the mode of the inode that bind creates: at no moment is it wider.
    if (fchmod(fd, 0600) == -1) return closing(fd);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1) return closing(fd);
    return fd;
}

int qp_listen_unix(const char *path, int backlog) {
    int fd = bound_unix(path, SOCK_STREAM);
    if (fd == -1) return -1;
    return listen(fd, backlog) == -1 ? closing(fd) : fd;
}

int qp_listen_link(const char *path, int backlog) {
    int fd = bound_unix(path, SOCK_SEQPACKET);
    if (fd == -1) return -1;
    return listen(fd, backlog) == -1 ? closing(fd) : fd;
}

int qp_connect_link(const char *path) {
    struct sockaddr_un address;
    if (unix_address(path, &address) == -1) return -1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return -1;
    return connect(fd, (struct sockaddr *)&address, sizeof address) == -1 ? closing(fd) : fd;
}

int qp_peer_pidfd(int socket) {
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
    int pidfd = -1;
    socklen_t length = sizeof pidfd;
    return getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == -1 ? -1 : pidfd;
}

int qp_pidfd_has_ended(int pidfd) {
    struct pollfd look = {.fd = pidfd, .events = POLLIN};
    int result;
    do {
        result = poll(&look, 1, 0);
    } while (result == -1 && errno == EINTR);
    return result == 1;
}

int qp_bind_unix_datagram(const char *path) { return bound_unix(path, SOCK_DGRAM); }

int qp_takes_datagrams(const char *path) {
    struct sockaddr_un address;
    if (unix_address(path, &address) == -1) return 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return 0;
    int connected = connect(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    return connected == 0;
}

int qp_send_notification(const char *path, const char *text) {
    struct sockaddr_un address;
    if (unix_address(path, &address) == -1) return -1;
    size_t length = offsetof(struct sockaddr_un, sun_path) + strlen(path);
    // An abstract name ends with the address; that of a file ends with a NUL.
    if (address.sun_path[0] == '@') address.sun_path[0] = 0;
    else length++;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return -1;
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, (socklen_t)length);
    if (sent == -1) return closing(fd);
    close(fd);
    return 0;
}

int qp_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int qp_connect_unix(const char *path) {
    struct sockaddr_un address;
    if (unix_address(path, &address) == -1) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1) return -1;
    int result;
    do {
        result = connect(fd, (struct sockaddr *)&address, sizeof address);
    } while (result == -1 && errno == EINTR);
    return result == -1 ? closing(fd) : fd;
}

int qp_launch_socketpair(int pair[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) return -1;
    int bytes = 2 * QP_LAUNCH_MAX_BYTES;
    for (int i = 0; i < 2; i++) (void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return 0;
}

// The parts of this program's file that were never written to: its text, and data that no relocation touched.
static int release_segments(struct dl_phdr_info *info, size_t size, void *bytes) {
    (void)size;
    const ElfW(Phdr) *relro = NULL;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_RELRO) relro = &info->dlpi_phdr[i];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W)) continue;
        if (relro && part->p_vaddr < relro->p_vaddr + relro->p_memsz && relro->p_vaddr < part->p_vaddr + part->p_memsz)
            continue;
        uintptr_t from = (info->dlpi_addr + part->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t to = (info->dlpi_addr + part->p_vaddr + part->p_filesz) & ~(page - 1);
        if (to > from && madvise((void *)from, to - from, MADV_DONTNEED) == 0) *(size_t *)bytes += to - from;
    }
    return 1;  // The program itself comes first; libraries are shared with others anyway.
}

size_t qp_release_program_pages(void) {
    size_t bytes = 0;
    dl_iterate_phdr(release_segments, &bytes);
    return bytes;
}
