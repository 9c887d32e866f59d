// The agent of the supervisors' comparison: reports its first instruction, then waits.
//
// Reads `stamp.conf` in its working directory: the path of a FIFO, its own number, and a mode
//   plain   waits for ever
//   crash   exits with 1 at once
//   lines   writes a numbered line every 20 ms
//   ping    says READY and pings its watchdog (sd_notify) four times in its period
// so that every supervisor can run it without arguments. A record is 16 bytes: number and pid (32 bits each), CLOCK_MONOTONIC in
// nanoseconds (64 bits); less than PIPE_BUF, hence never torn. Descriptor 3 gets a newline when it is a pipe (s6's
// notification-fd).
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void notify(const char *message) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path) return;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address);
    close(fd);
}

int main(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char fifo[108], mode[16];
    int number;
    FILE *conf = fopen("stamp.conf", "re");
    if (conf == NULL || fscanf(conf, "%107s %d %15s", fifo, &number, mode) != 3) return 78;
    fclose(conf);
    struct { int32_t number, pid; int64_t ns; } record = {
        number, (int32_t)getpid(), now.tv_sec * 1000000000LL + now.tv_nsec };
    int out = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (out < 0 || write(out, &record, sizeof record) != (ssize_t)sizeof record) return 74;
    close(out);
    if (strcmp(mode, "crash") == 0) return 1;
    struct stat status;
    if (fstat(3, &status) == 0 && S_ISFIFO(status.st_mode) && write(3, "\n", 1) == 1) close(3);
    if (strcmp(mode, "ping") == 0) {
        const char *span = getenv("WATCHDOG_USEC");
        notify("READY=1");
        for (;;) {
            usleep(span == NULL ? 100000 : (useconds_t)(atoll(span) / 4));
            notify("WATCHDOG=1");
        }
    }
    for (int line = 1; strcmp(mode, "lines") == 0; line++) {
        char text[32];
        int length = snprintf(text, sizeof text, "line %d\n", line);
        if (write(1, text, (size_t)length) != length) return 74;
        usleep(20000);
    }
    for (;;) pause();
}
