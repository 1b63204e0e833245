// A lock on an open file stays held, by the file and not by the process: flock(2).
#include "conformance.h"
#include <sys/file.h>

static char *path, *shared;

static void body(void *unused)
{
    child_ready();
    wait_go();
    int fd = must(open(path, O_RDWR)), second = must(open(shared, O_RDWR));
    check(flock(fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the exclusive lock is free");
    check(flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the exclusive lock is shared");
    check(flock(second, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the shared lock is free");
    check(flock(second, LOCK_SH | LOCK_NB) == 0, "the shared lock is exclusive");
}

int main(void)
{
    path = scratch("exclusive");
    shared = scratch("shared");
    pid_t child = spawn(body, NULL);
    int fd = must(open(path, O_RDWR | O_CREAT, 0600)), second = must(open(shared, O_RDWR | O_CREAT, 0600));
    must(flock(fd, LOCK_EX));
    must(flock(second, LOCK_SH));
    int copy = must(dup(fd));
    ready_and_wait();
    join_child(child);
    must(flock(copy, LOCK_UN)); // releases it for all copies
    int again = must(open(path, O_RDWR));
    must(flock(again, LOCK_EX | LOCK_NB));
    pass();
}
