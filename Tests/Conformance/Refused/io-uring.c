// Must be refused: an io_uring instance: io_uring_setup(2).
#include "conformance.h"
#include <linux/io_uring.h>

int main(void)
{
    struct io_uring_params params = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 8, &params);
    if (fd < 0) skip("io_uring_setup: %s", strerror(errno));
    ready_and_wait();
    check(fcntl(fd, F_GETFD) >= 0, "the descriptor is gone");
    check_equal("io_uring_enter", syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0), 0);
    pass();
}
