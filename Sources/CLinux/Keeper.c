// What outlives a supervisor: see include/Keeper.h. Part of agent-launcher, which never links a runtime.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
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
static int notify_socket = -1;
/// A successor that has the notify socket and has not said yet that it has taken everything over.
static int lent_to = -1;

/// Datagrams that are dropped between two looks at everything else.
enum { DROPPED_AT_ONCE = 64 };

/// How long a successor may take to say that it has taken everything over.
enum { WORD_SECONDS = 30 };

static int upgrading, dismissed;
/// Our parent, also while and after it executes another program.
static pid_t supervisor;
/// When those who go with their supervisor were told; 0: not yet.
static int64_t told_ms;

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void release(struct entry *entry) {
    for (int i = 0; i < QP_KEPT_FDS; i++)
        if (entry->fds[i] >= 0) close(entry->fds[i]);
}

void qp_keeper_open(const char *path) {
    supervisor = getppid();
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
    case QP_NOTICE_SOCKET:
        if (count != 1 || listener == -1) break;
        if (notify_socket != -1) close(notify_socket);
        notify_socket = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
        break;
    default: break;
    }
    return 1;
}

static int is_alive(const struct entry *entry) {
    return entry->fds[QP_KEPT_PIDFD] >= 0 && !qp_pidfd_has_ended(entry->fds[QP_KEPT_PIDFD]);
}

/// An upgrade in place is none as long as its process is there, however long the new program takes.
static int is_loss(void) { return !upgrading || getppid() != supervisor; }

/// Those who are to go with their supervisor. By pidfd: exactly they. Once.
static void tell_orphans(void) {
    if (told_ms) return;
    told_ms = now_ms();
    for (size_t i = 0; i < entry_count; i++) {
        struct entry *entry = &entries[i];
        if (entry->kept.orphan_signal <= 0 || !is_alive(entry)) continue;
        (void)qp_pidfd_send_signal(entry->fds[QP_KEPT_PIDFD], entry->kept.orphan_signal);
        // A stopped process takes no other before it is continued.
        (void)qp_pidfd_send_signal(entry->fds[QP_KEPT_PIDFD], SIGCONT);
        entry->kept.orphan_signal = -entry->kept.orphan_signal;
    }
}

/// Kills those who were told and have had their time, or with `all` whatever is left of them. Milliseconds to the next; -1: none.
static int64_t end_orphans(int all) {
    int64_t next = -1;
    for (size_t i = 0; i < entry_count; i++) {
        const struct qp_kept *kept = &entries[i].kept;
        if (kept->orphan_signal >= 0 || kept->grace_ms == 0 || !is_alive(&entries[i])) continue;
        int64_t left = told_ms + (int64_t)kept->grace_ms - now_ms();
        if (left <= 0 || all) {
            // It leads a process group, whose number is its own while it is there.
            if (kept->pid > 1) (void)kill(-kept->pid, SIGKILL);
            (void)qp_pidfd_send_signal(entries[i].fds[QP_KEPT_PIDFD], SIGKILL);
        } else if (next == -1 || left < next) {
            next = left;
        }
    }
    return next;
}

/// From here on SIGTERM is an order; those that came before were for the supervisor's whole group. -1: it can't be heard.
static int hear_orders(void) {
    sigset_t orders;
    sigemptyset(&orders);
    sigaddset(&orders, SIGTERM);
    sigaddset(&orders, SIGINT);
    const struct timespec none = {0};
    while (sigtimedwait(&orders, NULL, &none) > 0) continue;
    return signalfd(-1, &orders, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// Somebody else listens there by now, or the run directory is gone.
static int is_replaced(void) {
    struct stat now;
    return stat(socket_path, &now) == -1 || now.st_ino != own_socket.st_ino || now.st_dev != own_socket.st_dev;
}

/// Nobody listens to the agents: none of them may wait for room in this queue.
static void drop_notifications(void) {
    char byte;
    for (int i = 0; i < DROPPED_AT_ONCE; i++)
        if (recv(notify_socket, &byte, sizeof byte, MSG_DONTWAIT) == -1) return;
}

/// 1: it has taken everything over; 0: it is gone; -1: neither yet.
static int word_of(int successor, int flags) {
    char word;
    ssize_t got;
    do got = recv(successor, &word, 1, flags);
    while (got == -1 && errno == EINTR);
    if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) return -1;
    return got == 1;
}

/// One successor: all entries, a last record, and its word that it has taken them over. As `word_of`.
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
    if (qp_send_with_fds(successor, &last, sizeof last, &notify_socket, notify_socket != -1, 0) == -1) return 0;
    struct timeval patience = {.tv_sec = WORD_SECONDS};
    (void)setsockopt(successor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return word_of(successor, 0);
}

/// The successor that is slow: 1 when there is nothing left to keep.
static int hear_late_word(void) {
    int word = word_of(lent_to, MSG_DONTWAIT);
    if (word == -1) return 0;
    close(lent_to);
    lent_to = -1;
    return word;
}

void qp_keeper_serve(void) {
    if (dismissed || listener == -1 || entry_count == 0) {
        if (listener != -1 && !is_replaced()) unlink(socket_path);
        return;
    }
    int orders = hear_orders();
    int64_t look_at = now_ms() + QP_KEEPER_LOOK_MS;
    for (int idle = 0; idle < QP_KEEPER_IDLE_LOOKS;) {
        int lost = is_loss();
        if (lost) tell_orphans();
        int64_t wait = end_orphans(0);
        int64_t left = look_at - now_ms();
        if (left < 0) left = 0;
        if (wait < 0 || wait > left) wait = left;
        struct pollfd looks[4] = {
            {.fd = listener, .events = POLLIN},
            {.fd = orders, .events = POLLIN},
            {.fd = lent_to, .events = POLLIN},
            // What comes during an upgrade is the new program's.
            {.fd = lost && lent_to == -1 ? notify_socket : -1, .events = POLLIN},
        };
        int ready = poll(looks, 4, (int)wait);
        if (ready > 0 && looks[1].revents) {
            (void)end_orphans(1);
            break;
        }
        if (ready > 0 && looks[2].revents && hear_late_word()) return;
        if (ready > 0 && looks[3].revents) drop_notifications();
        if (ready > 0 && looks[0].revents) {
            int successor = qp_accept(listener);
            if (successor == -1) continue;
            int word = hand_over(successor);
            if (word == 1) return;
            if (word == -1 && lent_to == -1) {
                lent_to = successor;
                continue;
            }
            // It began, and is gone too, or is slow: then it comes again.
            close(successor);
            continue;
        }
        if (ready > 0 && now_ms() < look_at) continue;
        look_at = now_ms() + QP_KEEPER_LOOK_MS;
        if (is_replaced()) break;
        int living = 0;
        for (size_t i = 0; i < entry_count && !living; i++) living = is_alive(&entries[i]);
        idle = living ? 0 : idle + 1;
    }
    if (!is_replaced()) unlink(socket_path);
}
