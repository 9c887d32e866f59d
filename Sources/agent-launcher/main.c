// Started by the supervisor through Foundation.Process with a socket as standard input; starts agents on request,
// each a direct child of the supervisor. When the supervisor is gone, it keeps what the next one needs (Keeper.h), at the path
// that is its argument.
#include <CLinux.h>

#include <stdio.h>

int main(int argc, char **argv) {
    qp_open_missing_stdio();
    struct stat input;
    if (fstat(0, &input) == -1 || !S_ISSOCK(input.st_mode)) {
        fputs("agent-launcher: standard input is not a socket; the supervisor starts this program\n", stderr);
        return 64;
    }
    return qp_launcher_serve(0, argc > 1 ? argv[1] : NULL);
}
