// Status flags of open files and close-on-exec of descriptors: fcntl(2) F_GETFL, F_GETFD.
#include "conformance.h"

static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK, O_RDWR | O_SYNC,
                            O_RDWR | O_DSYNC, O_RDONLY | O_NOATIME, O_WRONLY | O_APPEND | O_NONBLOCK};
enum { COUNT = sizeof flags / sizeof *flags };

int main(void)
{
    char *path = scratch("file");
    int fds[COUNT], status[COUNT], pipes[2];
    write_file(path, "x", 1);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = must(open(path, flags[i] | (i % 2 ? O_CLOEXEC : 0)));
        status[i] = must(fcntl(fds[i], F_GETFL));
    }
    must(pipe2(pipes, O_NONBLOCK));
    must(fcntl(pipes[0], F_SETFD, FD_CLOEXEC));
    int copy = must(dup(fds[1])); // without close-on-exec
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        check_equal("status flags", fcntl(fds[i], F_GETFL), status[i]);
        check_equal("close-on-exec", fcntl(fds[i], F_GETFD), i % 2);
    }
    check_equal("close-on-exec of the copy", fcntl(copy, F_GETFD), 0);
    check_equal("close-on-exec of the pipe's ends", fcntl(pipes[0], F_GETFD) * 2 + fcntl(pipes[1], F_GETFD), 2);
    check(fcntl(pipes[0], F_GETFL) & O_NONBLOCK && fcntl(pipes[1], F_GETFL) & O_NONBLOCK, "O_NONBLOCK");
    char byte;
    check(read(pipes[0], &byte, 1) == -1 && errno == EAGAIN, "the pipe blocks or has bytes");
    pass();
}
