// A process that waits for a file lock gets it when the holder gives it up: flock(2).
#include "conformance.h"
#include <sys/file.h>

static char *path;

static void body(void *unused)
{
    int fd = must(open(path, O_RDWR));
    child_ready();
    check(flock(fd, LOCK_EX) == 0, "flock: %s", strerror(errno));
    check(is_go(), "the lock was granted before go");
}

int main(void)
{
    path = scratch("file");
    int fd = must(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    must(flock(fd, LOCK_EX));
    pid_t child = spawn(body, NULL);
    wait_blocked(child, SYS_flock);
    ready_and_wait();
    int other = must(open(path, O_RDWR));
    check(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the lock is free");
    must(flock(fd, LOCK_UN));
    join_child(child);
    pass();
}
