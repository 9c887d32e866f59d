// agent-launcher outlives its supervisor and keeps what a successor can't get back otherwise: for the last incarnation of
// each agent a pidfd, which since Linux 6.15 tells how the process ended also long after it was reaped
// (PIDFD_GET_INFO), and its log pipes, whose content would be gone with the last who has them open. It also ends agents
// that are to go with their supervisor: by their stop signal, and when their time is over by SIGKILL.
//
// It also holds the socket of `$NOTIFY_SOCKET` open, for agents that are connected to it once and for all. While there is no
// supervisor it takes what comes there and drops it, so that nobody waits for room.
//
// It listens at <run>/keeper.sock (SOCK_SEQPACKET) from its start on, and accepts once its supervisor is gone: one
// `struct qp_kept` with QP_KEPT_FDS descriptors for each agent, then one of nobody (pid 0) with that socket. A byte back says that they are
// taken over, and ends it. Without a successor it ends when its socket is removed or replaced, on SIGTERM, or
// QP_KEEPER_IDLE_LOOKS after the last agent: until then it still knows how they ended and what they said last.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define QP_KEEPER_MAGIC 0x51504b31u
/// Agents that are kept; of more, the newcomers are not.
#define QP_KEPT_MAX 8192
#define QP_KEEPER_LOOK_MS 2000
#define QP_KEEPER_IDLE_LOOKS 150
#define QP_KEEPER_SEND_SECONDS 5

enum qp_kept_fd { QP_KEPT_PIDFD, QP_KEPT_STDOUT, QP_KEPT_STDERR, QP_KEPT_FDS };

struct qp_kept {
    uint32_t magic;
    int32_t pid;
    uint64_t incarnation;
    int32_t orphan_signal;  ///< what it gets when its supervisor is gone and not upgrading; 0: nothing; negative: it has got it
    uint32_t grace_ms;      ///< from then to SIGKILL; 0: never
    char agent[104];
};

enum qp_notice {
    QP_NOTICE_DISMISS = 1,  ///< an ordered end: there is nothing to keep
    QP_NOTICE_UPGRADE = 2,  ///< `value` 1: the supervisor is about to execute another program; 0: it could not
    QP_NOTICE_KEEP = 3,     ///< followed by a `struct qp_kept`, with its descriptors attached
    QP_NOTICE_SOCKET = 4,   ///< the notify socket is attached
};

struct qp_keeper_notice {
    uint32_t magic;
    uint32_t kind;
    uint32_t value;
    uint32_t reserved;
};

void qp_keeper_open(const char *path);
int qp_keeper_is_open(void);
void qp_keeper_keep(const struct qp_kept *kept, const int *fds);
/// A message that is a notice: 1; 0: it is none.
int qp_keeper_heard(const void *data, size_t length, const int *fds, int count);
/// After the supervisor's end. Returns when there is nothing to keep.
void qp_keeper_serve(void);
