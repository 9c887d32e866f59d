// The C shims of the house: system headers that Swift's Glibc module leaves out, variadic or macro calls, and the
// protocol between the supervisor and `agent-launcher`.
#pragma once

#include <stddef.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "Crash.h"
#include "Keeper.h"
#include "Launch.h"
#include "crc32c.h"
#include "secret.h"

// Every function here returns -1 with errno set on failure unless it says otherwise; none retries EINTR unless it says so.

/// pidfd_open(2). The descriptor is close-on-exec.
int qp_pidfd_open(pid_t pid);
/// pidfd_getfd(2): a copy (close-on-exec) of another process's descriptor; needs the right to trace it.
int qp_pidfd_getfd(int pidfd, int descriptor);
/// Where a listening Unix socket is bound: 1 and the path, or 0 when it is nothing of the kind.
int qp_listening_path(int socket, char *path, size_t size);
/// Where a Unix socket that does not listen is bound: 1 and the path, or 0.
int qp_bound_path(int socket, char *path, size_t size);
/// How the process of a pidfd ended, told also to those who are not its parent, once it was reaped (PIDFD_GET_INFO, Linux
/// 6.15; the pidfd must be older than that): 1 and the wait status, 0 when the kernel does not tell.
int qp_pidfd_exit_status(int pidfd, int *status);
/// pidfd_send_signal(2) without siginfo.
int qp_pidfd_send_signal(int pidfd, int signal);

/// posix_spawn_file_actions_addchdir_np(3): where the new process works.
int qp_spawn_in(posix_spawn_file_actions_t *actions, const char *folder);

/// How a child ended, as waitid(2) and its rusage tell.
struct qp_exit {
    int32_t pid;            ///< 0: nothing to report
    int32_t code;           ///< CLD_EXITED, CLD_KILLED or CLD_DUMPED
    int32_t status;         ///< exit code or signal number
    int64_t user_us;        ///< CPU time in user mode, microseconds (only when reaped)
    int64_t system_us;      ///< CPU time in the kernel, microseconds (only when reaped)
    int64_t max_rss_bytes;  ///< peak resident set, bytes (only when reaped)
};
/// Looks at any exited child without reaping it (WNOWAIT, WNOHANG).
int qp_peek_any_exit(struct qp_exit *out);
/// Looks whether one child has ended, without reaping it; `pid` 0: not yet, or its tracer has not let go of it.
int qp_peek_exit(pid_t pid, struct qp_exit *out);
/// Reaps exactly this child without blocking; `out->pid` is 0 while it still runs.
int qp_reap(pid_t pid, struct qp_exit *out);

/// Whether a process born in this cgroup v2 directory (clone3, CLONE_INTO_CGROUP) lives: 1 yes, 0 no. Kernels compare
/// the kill counts of the wrong groups and shoot the new-born wherever cgroup.kill was used before (seen on 6.18).
int qp_cgroup_birth_survives(int directory);
/// Whether a process can move itself into a control group through this open "tasks" or "cgroup.procs" file: 0, or the
/// errno. Tried with a child that ends at once.
int qp_cgroup_admits(int file);
/// Asks for `event` to be signalled when the v1 memory group runs into its limit (cgroup.event_control).
int qp_cgroup_watch_memory(int group, int event);
/// A new network namespace with nothing but its loopback, which is up. A descriptor (close-on-exec) that keeps it; the
/// caller stays where it is. EPERM without CAP_SYS_ADMIN.
int qp_make_network_namespace(void);
/// For a process without privileges and with one thread: its own user namespace, in which it is who it was, and an empty
/// network namespace with the loopback up.
int qp_unshare_network_as_ourselves(void);
/// Whether the line above would work for a child of ours: 0, or the errno.
int qp_can_unshare_network(void);
/// prctl(PR_SET_CHILD_SUBREAPER, 1).
int qp_set_child_subreaper(void);
/// Gives back the pages of this program's text and constants; the kernel maps those that are needed again from its cache.
/// Returns how many bytes of address space that covered.
size_t qp_release_program_pages(void);
/// prlimit(2), reading only.
int qp_get_rlimit(pid_t pid, int resource, uint64_t *soft, uint64_t *hard);
/// open(2) with O_CLOEXEC added; the mode is used with O_CREAT only.
int qp_open(const char *path, int flags, mode_t mode);
/// openat(2) with O_PATH and O_NOFOLLOW: a handle on the entry itself, be it a link.
int qp_open_entry(int directory, const char *name);
/// Gives what a descriptor (also one of `qp_open_entry`) stands for to another owner.
int qp_give_away(int fd, uid_t uid, gid_t gid);
/// RLIMIT_NPROC, which Swift does not see.
extern const int32_t qp_rlimit_processes;
/// pipe2(2), close-on-exec.
int qp_pipe(int ends[2]);
/// fcntl(F_SETFL) adding O_NONBLOCK.
int qp_set_nonblocking(int fd);
/// fallocate(FALLOC_FL_PUNCH_HOLE): gives blocks back; the file's size stays. EOPNOTSUPP where the file system can't.
int qp_punch_hole(int fd, int64_t offset, int64_t bytes);
/// fcntl(F_SETPIPE_SZ); best effort, returns the size granted.
int qp_set_pipe_size(int fd, int bytes);
/// splice(2) of what waits in a pipe to `*offset` of a file, which moves on; never waits for the pipe. Retries EINTR. Bytes
/// are in one or the other at every moment, also when the caller is killed.
ssize_t qp_splice_to_file(int pipe, int file, int64_t *offset, size_t count);

/// Sends one message with descriptors attached (MSG_NOSIGNAL); retries EINTR. `count` <= QP_LAUNCH_MAX_FDS.
ssize_t qp_send_with_fds(int socket, const void *data, size_t length, const int *fds, int count, int flags);
/// Receives one message with descriptors (close-on-exec); retries EINTR. `*count`: room in, received out. A truncated
/// message or descriptor list fails with EMSGSIZE and leaks nothing.
ssize_t qp_recv_with_fds(int socket, void *data, size_t length, int *fds, int *count);
/// Turns on SO_PASSCRED.
int qp_pass_credentials(int socket);
/// Receives one datagram and its sender's credentials, without blocking. `*attached` is the first descriptor that somebody
/// attached, the caller's to close, or -1; others are closed.
/// `*truncated` is 1 when the datagram was longer than `length`. `*pid` is 0 when the kernel told no credentials.
ssize_t qp_recv_with_credentials(
    int socket, void *data, size_t length, pid_t *pid, uid_t *uid, int *truncated, int *attached);
/// SO_PEERCRED of a connected Unix stream socket.
int qp_peer_credentials(int socket, pid_t *pid, uid_t *uid);
/// socket + bind + listen on a Unix stream path with mode 0600 from the first moment; close-on-exec, non-blocking.
/// ENAMETOOLONG when the path has more than 107 bytes.
int qp_listen_unix(const char *path, int backlog);
/// As qp_listen_unix, for SOCK_SEQPACKET.
int qp_listen_link(const char *path, int backlog);
/// socket + connect to a Unix SOCK_SEQPACKET path; close-on-exec, non-blocking (EAGAIN: the backlog is full).
int qp_connect_link(const char *path);
/// SO_PEERPIDFD: a pidfd (close-on-exec) of the process that connected; fails where the kernel has none (before 6.5).
int qp_peer_pidfd(int socket);
/// Whether the process of a pidfd has ended, reaped or not: 1 yes, 0 no.
int qp_pidfd_has_ended(int pidfd);
/// socket + bind of a Unix datagram socket with mode 0600; close-on-exec, non-blocking.
int qp_bind_unix_datagram(const char *path);
/// Whether a datagram socket that somebody has open is bound there: 1 yes, 0 no.
int qp_takes_datagrams(const char *path);
/// One datagram to a service manager's socket, never waiting (sd_notify(3); a leading @: abstract name); -1 and errno.
int qp_send_notification(const char *path, const char *text);
/// accept4(2), close-on-exec, non-blocking.
int qp_accept(int listener);
/// socket + connect to a Unix stream path; close-on-exec, blocking.
int qp_connect_unix(const char *path);

/// A listening socket with an abstract name (unix(7)): in a network namespace the kernel gives each name once, and takes it back
/// with the last descriptor, however its holder ends. Close-on-exec, nonblocking. -1 and errno: EADDRINUSE if somebody has it.
int qp_claim_name(const char *name);
/// Who has claimed the name; a pid of 0 is one of another pid namespace. -1 and errno: ECONNREFUSED if nobody has.
int qp_name_holder(const char *name, pid_t *pid, uid_t *uid);
/// 1 when the socket is bound to this abstract name.
int qp_has_name(int fd, const char *name);
/// Opens /dev/null as each of the descriptors 0, 1 and 2 that is closed, so that no file of ours becomes one of them.
void qp_open_missing_stdio(void);

/// Whether a birth was written completely: 1 yes, 0 no.
int qp_birth_is_whole(const struct qp_birth *birth);
/// The close-on-exec pair between supervisor and launcher (SOCK_SEQPACKET, send buffers for QP_LAUNCH_MAX_BYTES).
int qp_launch_socketpair(int pair[2]);
/// The launcher's whole life: serves requests from `socket` until end of file, then keeps what a successor of the supervisor
/// needs (Keeper.h) if it has a path for that (else NULL). Returns the exit code.
int qp_launcher_serve(int socket, const char *keeper);
