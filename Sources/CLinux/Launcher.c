// Between fork and exec. The launcher is single-threaded and never links a runtime: its child may use any call here.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { STATUS_FD, STDOUT_FD, STDERR_FD, BIRTH_FD, FIRST_INHERITED };

struct request {
    struct qp_launch_request head;
    char strings[QP_LAUNCH_MAX_BYTES - sizeof(struct qp_launch_request)];
};

// What a checked request means: pointers into the request's own strings.
struct plan {
    const struct qp_launch_request *head;
    const char *executable;
    const char *directory;
    char **argv;
    char **envp;
    int *fds;
    int fd_count;
    int cgroup;
    int network;  // index in `fds`, which move; -1: none
};

/// Fork with the supervisor as the parent: it alone reaps the agent, and Foundation never hears of it.
/// Born inside its cgroup it never was outside, and pays nothing for moving (a move waits for an RCU grace period).
static pid_t clone_sibling(int cgroup, int32_t *in_cgroup, int *pidfd) {
    *pidfd = -1;
    struct clone_args arguments = {.flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd};
    if (cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)cgroup;
    }
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    // A cgroup that can't take it (removed, domain rules) must not keep the agent from running: the reply tells.
    if (pid == -1 && cgroup >= 0 && errno != EAGAIN && errno != ENOMEM) return clone_sibling(-1, in_cgroup, pidfd);
    *in_cgroup = cgroup >= 0;
    if (pid == -1 && errno == ENOSYS) pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    return (pid_t)pid;
}

static void fail(int status, int stage, int error) {
    struct qp_launch_failure failure = {.stage = stage, .error = error};
    ssize_t ignored = write(status, &failure, sizeof failure);
    (void)ignored;
    _exit(127);
}

/// Every signal does what it does by itself: once, in the launcher, because a fork takes that along and 64 system calls for each
/// agent would be most of its way to `execve`.
static void reset_signal_actions(void) {
    // The raw call: glibc refuses its own signals 32 and 33, which posix_spawn leaves ignored.
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } standard = {0};
    for (int number = 1; number < NSIG; number++)
        (void)syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof standard.mask);
}

static void unblock_signals(int status) {
    uint64_t none = 0;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none) == -1)
        fail(status, QP_STAGE_SIGNALS, errno);
}

/// Puts stdio and the inherited descriptors at their numbers and closes everything else.
/// Returns the status pipe's new number.
static int place_descriptors(const struct plan *plan) {
    int status = plan->fds[STATUS_FD];
    int inherited = (int)plan->head->inherit_count;
    int first_free = 3 + inherited;
    // Out of the way first, so that no dup2 below overwrites a descriptor still to be placed.
    for (int i = 0; i < plan->fd_count; i++) {
        int moved = fcntl(plan->fds[i], F_DUPFD_CLOEXEC, first_free + 1);
        if (moved == -1) fail(status, QP_STAGE_DESCRIPTORS, errno);
        if (i == STATUS_FD) status = moved;
        plan->fds[i] = moved;
    }
    int null = open("/dev/null", O_RDWR);
    if (null == -1 || dup2(null, 0) == -1 || dup2(plan->fds[STDOUT_FD], 1) == -1 || dup2(plan->fds[STDERR_FD], 2) == -1)
        fail(status, QP_STAGE_DESCRIPTORS, errno);
    for (int i = 0; i < inherited; i++)
        if (dup2(plan->fds[FIRST_INHERITED + i], 3 + i) == -1) fail(status, QP_STAGE_DESCRIPTORS, errno);
    return status;
}

static void join_cgroups(const struct plan *plan, int status) {
    for (uint32_t i = 0; i < plan->head->join_count; i++) {
        int file = plan->fds[FIRST_INHERITED + (int)plan->head->inherit_count + (int)i];
        if (write(file, "0", 1) != 1) fail(status, QP_STAGE_CGROUP, errno);
    }
}

/// Leaves only stdio, the inherited descriptors and the status pipe (right behind them, close-on-exec).
static int close_the_rest(const struct plan *plan, int status) {
    int last = 3 + (int)plan->head->inherit_count;
    if (status != last) {
        int placed = dup3(status, last, O_CLOEXEC);
        if (placed == -1) fail(status, QP_STAGE_DESCRIPTORS, errno);
        status = placed;
    }
    if (syscall(SYS_close_range, (unsigned)last + 1, ~0U, 0) == -1) {
        for (int fd = last + 1; fd < 4096; fd++) close(fd);
    }
    return status;
}

static void lower_priority(const struct plan *plan, int status) {
    if ((plan->head->flags & QP_LAUNCH_SET_NICE) && setpriority(PRIO_PROCESS, 0, plan->head->nice) == -1)
        fail(status, QP_STAGE_PRIORITY, errno);
    if (plan->head->oom_score_adj == 0) return;
    char text[16];
    int length = snprintf(text, sizeof text, "%d", plan->head->oom_score_adj);
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    // Not having /proc, or not being allowed to, takes nothing away from the agent.
    if (file == -1) return;
    ssize_t ignored = write(file, text, (size_t)length);
    (void)ignored;
    close(file);
}

/// An empty network. Made ahead by a supervisor that may; else made here, in a user namespace in which we are ourselves
/// (user_namespaces(7)). It is asked for only where that was seen to work: what refuses it now may pass, and meanwhile the
/// agent does not run in the network it is to be kept from.
static void leave_network(const struct plan *plan, int network, int status) {
    if (network >= 0 && setns(network, CLONE_NEWNET) == -1) fail(status, QP_STAGE_SANDBOX, errno);
    if (!(plan->head->flags & QP_LAUNCH_NEW_NETWORK)) return;
    if (unshare(CLONE_NEWNET) == -1 && qp_unshare_network_as_ourselves() == -1) fail(status, QP_STAGE_SANDBOX, errno);
}

static void take_user(const struct plan *plan, int status) {
    const struct qp_launch_request *head = plan->head;
    if (!(head->flags & QP_LAUNCH_SET_USER)) return;
    gid_t groups[QP_LAUNCH_MAX_GROUPS];
    for (uint32_t i = 0; i < head->group_count; i++) groups[i] = head->groups[i];
    if (setgroups(head->group_count, groups) == -1 || setresgid(head->gid, head->gid, head->gid) == -1 ||
        setresuid(head->uid, head->uid, head->uid) == -1)
        fail(status, QP_STAGE_USER, errno);
    // There must be no way back.
    if (head->uid != 0 && setuid(0) == 0) fail(status, QP_STAGE_USER, EPERM);
}

static void renounce_privileges(const struct plan *plan, int status) {
    if ((plan->head->flags & QP_LAUNCH_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        fail(status, QP_STAGE_SANDBOX, errno);
}

static void apply_rlimits(const struct plan *plan, int status) {
    for (uint32_t i = 0; i < plan->head->rlimit_count; i++) {
        const struct qp_launch_rlimit *wanted = &plan->head->rlimits[i];
        struct rlimit64 limit = {.rlim_cur = wanted->soft, .rlim_max = wanted->hard};
        if (setrlimit64((__rlimit_resource_t)wanted->resource, &limit) == -1) fail(status, QP_STAGE_LIMITS, errno);
    }
}

static uint32_t crc_of_birth(const struct qp_birth *birth) {
    size_t start = offsetof(struct qp_birth, incarnation);
    return qp_crc32c(0, (const char *)birth + start, sizeof *birth - start);
}

int qp_birth_is_whole(const struct qp_birth *birth) {
    return birth->magic == QP_BIRTH_MAGIC && birth->crc == crc_of_birth(birth);
}

/// When we began, in clock ticks since boot; 0 when the kernel does not tell.
static uint64_t own_start(void) {
    char line[1024];
    int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (file == -1) return 0;
    ssize_t length = read(file, line, sizeof line - 1);
    close(file);
    if (length <= 0) return 0;
    line[length] = 0;
    // The name may hold anything: fields are counted from the last parenthesis, behind which stands field 3.
    char *at = strrchr(line, ')');
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

/// On record before anything of the agent's is executed: a supervisor that dies now leaves no unknown process behind.
static void record_birth(const struct plan *plan, int status) {
    if (!(plan->head->flags & QP_LAUNCH_RECORD_BIRTH)) return;
    struct qp_birth birth = {
        .magic = QP_BIRTH_MAGIC, .incarnation = plan->head->incarnation, .pid = getpid(), .start_ticks = own_start()};
    birth.crc = crc_of_birth(&birth);
    if (pwrite(plan->fds[BIRTH_FD], &birth, sizeof birth, QP_BIRTH_AT) != sizeof birth)
        fail(status, QP_STAGE_BIRTH, errno);
}

/// execve, again for a moment while the program is "busy": whoever forks while another thread writes a file keeps it open
/// for writing until it executes something, however complete the file is by then.
static void execute(const struct plan *plan) {
    for (long pause_ms = 1;; pause_ms *= 2) {
        execve(plan->executable, plan->argv, plan->envp);
        if (errno != ETXTBSY || pause_ms > QP_LAUNCH_LONGEST_PAUSE_MS) return;
        struct timespec pause = {.tv_nsec = pause_ms * 1000000};
        (void)nanosleep(&pause, NULL);
        errno = ETXTBSY;
    }
}

static void become_agent(const struct plan *plan) {
    int status = plan->fds[STATUS_FD];
    record_birth(plan, status);
    if (setsid() == -1) fail(status, QP_STAGE_SESSION, errno);
    unblock_signals(status);
    status = place_descriptors(plan);
    join_cgroups(plan, status);
    leave_network(plan, plan->network >= 0 ? plan->fds[plan->network] : -1, status);
    status = close_the_rest(plan, status);
    lower_priority(plan, status);
    umask(plan->head->umask);
    // Late, because they bind this code too; the user after them, who may not raise them.
    apply_rlimits(plan, status);
    take_user(plan, status);
    renounce_privileges(plan, status);
    if (chdir(plan->directory) == -1) fail(status, QP_STAGE_DIRECTORY, errno);
    // After the user, whose change would take it back.
    if (plan->head->flags & QP_LAUNCH_PASSING) (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    execute(plan);
    fail(status, QP_STAGE_EXEC, errno);
}

/// Splits the strings; 0 when the request is not exactly what it says.
static int understand(struct request *request, size_t length, int *fds, int fd_count, struct plan *plan) {
    const struct qp_launch_request *head = &request->head;
    if (length < sizeof *head || head->magic != QP_LAUNCH_MAGIC) return 0;
    if (head->string_bytes != length - sizeof *head || head->string_bytes == 0) return 0;
    if (head->rlimit_count > QP_LAUNCH_MAX_RLIMITS || head->argc == 0) return 0;
    if (head->argc > head->string_bytes || head->envc > head->string_bytes) return 0;
    if (head->inherit_count > QP_LAUNCH_MAX_FDS || head->join_count > QP_LAUNCH_MAX_FDS) return 0;
    if (head->group_count > QP_LAUNCH_MAX_GROUPS) return 0;
    uint32_t into_cgroup = (head->flags & QP_LAUNCH_INTO_CGROUP) != 0;
    uint32_t join_network = (head->flags & QP_LAUNCH_JOIN_NETWORK) != 0;
    uint32_t others = FIRST_INHERITED + head->inherit_count + head->join_count;
    if ((uint32_t)fd_count != others + join_network + into_cgroup) return 0;
    if (request->strings[head->string_bytes - 1] != 0) return 0;

    size_t expected = 2 + (size_t)head->argc + head->envc;
    char **pointers = calloc(expected + 2, sizeof *pointers);
    if (!pointers) return 0;
    size_t found = 0, slot = 0, offset = 0;
    while (offset < head->string_bytes && found < expected) {
        pointers[slot++] = &request->strings[offset];
        offset += strlen(&request->strings[offset]) + 1;
        found++;
        // The terminator of argv sits between the last argument and the first environment entry.
        if (found == 2 + (size_t)head->argc) pointers[slot++] = NULL;
    }
    if (found != expected || offset != head->string_bytes) {
        free(pointers);
        return 0;
    }
    *plan = (struct plan){
        .head = head,
        .executable = pointers[0],
        .directory = pointers[1],
        .argv = pointers + 2,
        .envp = pointers + 2 + head->argc + 1,
        .fds = fds,
        .fd_count = fd_count,
        .cgroup = into_cgroup ? fds[fd_count - 1] : -1,
        .network = join_network ? (int)others : -1,
    };
    return 1;
}

/// What a successor of the supervisor will want to have of the process that was just made.
static void keep(const struct plan *plan, pid_t pid, int pidfd) {
    if (!qp_keeper_is_open() || pidfd == -1 || plan->head->flags & QP_LAUNCH_PASSING) return;
    struct qp_kept kept = {
        .magic = QP_KEEPER_MAGIC,
        .pid = pid,
        .incarnation = plan->head->incarnation,
        .orphan_signal = plan->head->orphan_signal,
        .grace_ms = plan->head->orphan_grace_ms,
    };
    static const char variable[] = "QP_AGENT=";
    for (char **entry = plan->envp; *entry; entry++) {
        if (strncmp(*entry, variable, sizeof variable - 1) != 0) continue;
        strncpy(kept.agent, *entry + sizeof variable - 1, sizeof kept.agent - 1);
        const int fds[QP_KEPT_FDS] = {pidfd, plan->fds[STDOUT_FD], plan->fds[STDERR_FD]};
        return qp_keeper_keep(&kept, fds);
    }
}

static struct qp_launch_reply launch(struct request *request, size_t length, int *fds, int fd_count) {
    struct qp_launch_reply reply = {.magic = QP_LAUNCH_MAGIC, .id = request->head.id};
    struct plan plan;
    if (!understand(request, length, fds, fd_count, &plan)) {
        reply.stage = QP_STAGE_REQUEST;
        reply.error = EINVAL;
        return reply;
    }
    int pidfd;
    pid_t pid = clone_sibling(plan.cgroup, &reply.in_cgroup, &pidfd);
    if (pid == 0) become_agent(&plan);
    if (pid == -1) {
        reply.stage = QP_STAGE_CLONE;
        reply.error = errno;
    } else {
        reply.pid = pid;
        keep(&plan, pid, pidfd);
    }
    if (pidfd != -1) close(pidfd);
    free(plan.argv - 2);
    return reply;
}

static int serve(int socket) {
    static struct request request;
    for (;;) {
        int fds[QP_LAUNCH_MAX_FDS];
        int fd_count = QP_LAUNCH_MAX_FDS;
        ssize_t length = qp_recv_with_fds(socket, &request, sizeof request, fds, &fd_count);
        if (length == 0) return 0;
        if (length == -1) {
            if (errno != EMSGSIZE) return 1;
            length = 0;
        }
        if (qp_keeper_heard(&request, (size_t)length, fds, fd_count)) {
            for (int i = 0; i < fd_count; i++) close(fds[i]);
            continue;
        }
        if ((size_t)length < sizeof request.head) request.head.id = 0;
        struct qp_launch_reply reply = launch(&request, (size_t)length, fds, fd_count);
        for (int i = 0; i < fd_count; i++) close(fds[i]);
        if (qp_send_with_fds(socket, &reply, sizeof reply, NULL, 0, 0) == -1) return 1;
    }
}

int qp_launcher_serve(int socket, const char *keeper) {
    // End of file is how this process ends: signals for the supervisor's group must not take it away mid-launch.
    sigset_t all;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    // Blocked as they all are, none of them is taken here either way.
    reset_signal_actions();
    if (keeper) qp_keeper_open(keeper);
    int code = serve(socket);
    close(socket);
    if (keeper) qp_keeper_serve();
    return code;
}
