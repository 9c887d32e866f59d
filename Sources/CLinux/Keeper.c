// What outlives a supervisor: see include/Keeper.h. Part of agent-launcher, which never links a runtime.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    struct qp_kept kept;
    int fds[QP_KEPT_FDS];
};

static struct entry *entries;
static size_t entry_count, entry_room;
static const char *socket_path;
static int listener = -1;
static struct stat own_socket;

/// How long a successor may take to say that it has taken everything over.
enum { WORD_SECONDS = 30 };
/// Looks for a successor after which an upgrade has failed, and was a loss.
enum { UPGRADE_LOOKS = 5 };

static int upgrading, dismissed;

static void release(struct entry *entry) {
    for (int i = 0; i < QP_KEPT_FDS; i++)
        if (entry->fds[i] >= 0) close(entry->fds[i]);
}

void qp_keeper_open(const char *path) {
    unlink(path);
    listener = qp_listen_link(path, 4);
    if (listener == -1) return;
    socket_path = path;
    if (stat(path, &own_socket) == -1) memset(&own_socket, 0, sizeof own_socket);
}

int qp_keeper_is_open(void) { return listener != -1; }

/// The agent's entry, made anew or emptied; NULL: no room.
static struct entry *slot(const char *agent) {
    for (size_t i = 0; i < entry_count; i++) {
        if (strncmp(entries[i].kept.agent, agent, sizeof entries[i].kept.agent) != 0) continue;
        release(&entries[i]);
        return &entries[i];
    }
    if (entry_count == entry_room) {
        if (entry_room >= QP_KEPT_MAX) return NULL;
        size_t room = entry_room ? 2 * entry_room : 64;
        struct entry *grown = realloc(entries, room * sizeof *grown);
        if (!grown) return NULL;
        entries = grown;
        entry_room = room;
    }
    return &entries[entry_count++];
}

void qp_keeper_keep(const struct qp_kept *kept, const int *fds) {
    if (listener == -1) return;
    struct entry *entry = slot(kept->agent);
    if (!entry) return;
    entry->kept = *kept;
    // Out of descriptors: what is not kept is unknown later, no more than that.
    for (int i = 0; i < QP_KEPT_FDS; i++) entry->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
}

int qp_keeper_heard(const void *data, size_t length, const int *fds, int count) {
    struct qp_keeper_notice notice;
    if (length < sizeof notice) return 0;
    memcpy(&notice, data, sizeof notice);
    if (notice.magic != QP_KEEPER_MAGIC) return 0;
    switch (notice.kind) {
    case QP_NOTICE_DISMISS: dismissed = 1; break;
    case QP_NOTICE_UPGRADE: upgrading = notice.value != 0; break;
    case QP_NOTICE_KEEP:
        if (length == sizeof notice + sizeof(struct qp_kept) && count == QP_KEPT_FDS) {
            struct qp_kept kept;
            memcpy(&kept, (const char *)data + sizeof notice, sizeof kept);
            kept.agent[sizeof kept.agent - 1] = 0;
            qp_keeper_keep(&kept, fds);
        }
        break;
    default: break;
    }
    return 1;
}

static int is_alive(const struct entry *entry) {
    return entry->fds[QP_KEPT_PIDFD] >= 0 && !qp_pidfd_has_ended(entry->fds[QP_KEPT_PIDFD]);
}

/// Those who are to go with their supervisor. By pidfd: exactly they. Once.
static void tell_orphans(void) {
    static int told;
    if (told) return;
    told = 1;
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].kept.orphan_signal > 0 && is_alive(&entries[i]))
            (void)qp_pidfd_send_signal(entries[i].fds[QP_KEPT_PIDFD], entries[i].kept.orphan_signal);
}

/// Somebody else listens there by now, or the run directory is gone.
static int is_replaced(void) {
    struct stat now;
    return stat(socket_path, &now) == -1 || now.st_ino != own_socket.st_ino || now.st_dev != own_socket.st_dev;
}

/// One successor: all entries, a last record, and its word that it has taken them over. 1: nothing is left to keep.
static int hand_over(int successor) {
    struct timeval limit = {.tv_sec = QP_KEEPER_SEND_SECONDS};
    (void)setsockopt(successor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    (void)fcntl(successor, F_SETFL, fcntl(successor, F_GETFL) & ~O_NONBLOCK);
    for (size_t i = 0; i < entry_count; i++) {
        int fds[QP_KEPT_FDS];
        int present = 1;
        for (int k = 0; k < QP_KEPT_FDS; k++) {
            fds[k] = entries[i].fds[k];
            present = present && fds[k] >= 0;
        }
        if (!present) continue;
        if (qp_send_with_fds(successor, &entries[i].kept, sizeof entries[i].kept, fds, QP_KEPT_FDS, 0) == -1) return 0;
    }
    struct qp_kept last = {.magic = QP_KEEPER_MAGIC};
    if (qp_send_with_fds(successor, &last, sizeof last, NULL, 0, 0) == -1) return 0;
    struct timeval patience = {.tv_sec = WORD_SECONDS};
    (void)setsockopt(successor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char word;
    ssize_t got;
    // Ends with the successor: then the next one is waited for.
    do got = recv(successor, &word, 1, 0);
    while (got == -1 && errno == EINTR);
    return got == 1;
}

void qp_keeper_serve(void) {
    if (dismissed || listener == -1 || entry_count == 0) {
        if (listener != -1 && !is_replaced()) unlink(socket_path);
        return;
    }
    if (!upgrading) tell_orphans();
    int looks = 0;
    for (int idle = 0; idle < QP_KEEPER_IDLE_LOOKS;) {
        struct pollfd look = {.fd = listener, .events = POLLIN};
        int ready = poll(&look, 1, QP_KEEPER_LOOK_MS);
        if (ready == 1) {
            int successor = qp_accept(listener);
            if (successor == -1) continue;
            int done = hand_over(successor);
            close(successor);
            if (done) return;
            // It began, and is gone too.
            tell_orphans();
            continue;
        }
        if (is_replaced()) return;
        if (++looks == UPGRADE_LOOKS) tell_orphans();
        int living = 0;
        for (size_t i = 0; i < entry_count && !living; i++) living = is_alive(&entries[i]);
        idle = living ? 0 : idle + 1;
    }
    if (!is_replaced()) unlink(socket_path);
}
