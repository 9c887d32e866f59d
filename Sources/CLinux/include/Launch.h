// What the supervisor asks `agent-launcher` to start, and what it hears back. Both ends are built together, so the
// layout is plain C; magic, version and lengths are checked all the same.
//
// request  = struct qp_launch_request, then `string_bytes` of NUL-terminated strings:
//            executable, working directory, argv[0..argc-1], "KEY=VALUE"[0..envc-1]
//            with descriptors attached in this order: status pipe (write end), stdout, stderr, the file for its birth,
//            `inherit_count` descriptors for the agent (they become 3, 4, ...), `join_count` files of control groups
//            ("tasks" of v1: there "0" moves the one thread that writes it, without the RCU grace period of
//            cgroup.procs; or "cgroup.procs" of v2), with QP_LAUNCH_JOIN_NETWORK one network namespace, and with
//            QP_LAUNCH_INTO_CGROUP one directory of the cgroup v2 hierarchy.
// reply    = struct qp_launch_reply on the same socket, as soon as the agent has a pid.
// status   = the status pipe closes when execve succeeded; otherwise it carries one struct qp_launch_failure first.
#pragma once

#include <stdint.h>

#define QP_LAUNCH_MAGIC 0x51504c33u
#define QP_LAUNCH_MAX_BYTES (192 * 1024)
#define QP_LAUNCH_MAX_FDS 128
#define QP_LAUNCH_MAX_RLIMITS 12
#define QP_LAUNCH_MAX_GROUPS 64
/// A busy program (ETXTBSY) is tried again after 1, 2, 4, ... ms: 63 ms altogether.
#define QP_LAUNCH_LONGEST_PAUSE_MS 32

enum qp_launch_flag {
    QP_LAUNCH_NO_NEW_PRIVS = 1,
    QP_LAUNCH_NEW_NETWORK = 2,  ///< an empty network namespace of its own, where the kernel allows it
    QP_LAUNCH_INTO_CGROUP = 4,  ///< one more descriptor, the last: the cgroup v2 directory to be born in
    QP_LAUNCH_JOIN_NETWORK = 8,  ///< one more descriptor: the network namespace to enter
    QP_LAUNCH_SET_USER = 16,     ///< `uid`, `gid` and `groups` are to be taken on
    QP_LAUNCH_RECORD_BIRTH = 32,  ///< otherwise the file for its birth is any descriptor, and stays untouched
    QP_LAUNCH_SET_NICE = 64,      ///< otherwise it runs at the supervisor's own, which it may not be allowed to set
    QP_LAUNCH_PASSING = 128,      ///< no agent at work: the keeper need not know of it, and it dies with the supervisor
};

/// Where a launch failed.
enum qp_launch_stage {
    QP_STAGE_REQUEST = 1,   ///< the request itself was malformed
    QP_STAGE_CLONE = 2,     ///< no new process (EAGAIN, ENOMEM)
    QP_STAGE_SESSION = 3,
    QP_STAGE_SIGNALS = 4,
    QP_STAGE_DESCRIPTORS = 5,
    QP_STAGE_CGROUP = 6,
    QP_STAGE_PRIORITY = 7,
    QP_STAGE_SANDBOX = 8,
    QP_STAGE_DIRECTORY = 9,  ///< chdir to the working directory
    QP_STAGE_LIMITS = 10,    ///< setrlimit
    QP_STAGE_EXEC = 11,      ///< execve
    QP_STAGE_USER = 12,      ///< setgroups, setresgid, setresuid
    QP_STAGE_BIRTH = 13,     ///< writing down who it is
};

/// What a new-born process writes at QP_BIRTH_AT of the file for its birth before it executes anything.
struct qp_birth {
    uint32_t magic;
    uint32_t crc;  ///< CRC-32C of what follows
    uint64_t incarnation;
    int32_t pid;
    int32_t reserved;
    uint64_t start_ticks;  ///< field 22 of /proc/PID/stat: with the pid and the boot it names a process for good
};

#define QP_BIRTH_MAGIC 0x48545242u
#define QP_BIRTH_AT 512

struct qp_launch_rlimit {
    int32_t resource;
    int32_t reserved;
    uint64_t soft;
    uint64_t hard;
};

struct qp_launch_request {
    uint32_t magic;
    uint32_t string_bytes;
    uint64_t id;
    uint64_t incarnation;
    int32_t orphan_signal;  ///< what it gets when the supervisor is gone (Keeper.h); 0: nothing
    uint32_t orphan_grace_ms;  ///< how long it may take then before it is killed; 0: it never is
    uint32_t argc;
    uint32_t envc;
    uint32_t inherit_count;
    uint32_t join_count;
    uint32_t flags;
    uint32_t umask;
    int32_t nice;
    int32_t oom_score_adj;
    uint32_t rlimit_count;
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count;  ///< supplementary groups, all there will be
    uint32_t groups[QP_LAUNCH_MAX_GROUPS];
    struct qp_launch_rlimit rlimits[QP_LAUNCH_MAX_RLIMITS];
};

struct qp_launch_reply {
    uint32_t magic;
    int32_t pid;    ///< 0 when nothing was started
    uint64_t id;
    int32_t stage;  ///< 0, or enum qp_launch_stage
    int32_t error;  ///< 0, or an errno
    int32_t in_cgroup;  ///< 1: it was born in the cgroup that came with QP_LAUNCH_INTO_CGROUP
    int32_t reserved;
};

struct qp_launch_failure {
    int32_t stage;
    int32_t error;
};
