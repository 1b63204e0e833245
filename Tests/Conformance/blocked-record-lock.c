// A process that waits for a record lock gets it when the holder gives it up: fcntl(2) F_SETLKW.
#include "conformance.h"

static char *path;

static void body(void *unused)
{
    int fd = must(open(path, O_RDWR));
    struct flock lock = {.l_type = F_WRLCK, .l_start = 50, .l_len = 100};
    child_ready();
    check(fcntl(fd, F_SETLKW, &lock) == 0, "F_SETLKW: %s", strerror(errno));
    check(is_go(), "the lock was granted before go");
}

int main(void)
{
    path = scratch("file");
    int fd = must(open(path, O_RDWR | O_CREAT, 0600));
    struct flock lock = {.l_type = F_WRLCK, .l_start = 0, .l_len = 100};
    must(fcntl(fd, F_SETLK, &lock));
    pid_t child = spawn(body, NULL);
    wait_blocked(child, SYS_fcntl);
    ready_and_wait();
    lock.l_type = F_UNLCK;
    must(fcntl(fd, F_SETLK, &lock));
    join_child(child);
    pass();
}
