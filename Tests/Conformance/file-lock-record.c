// Record locks on parts of a file stay held by their process: fcntl(2) F_SETLK.
#include "conformance.h"

static char *path;

static struct flock probe(int fd, int type, long start, long length)
{
    struct flock lock = {.l_type = (short)type, .l_start = start, .l_len = length};
    must(fcntl(fd, F_GETLK, &lock));
    return lock;
}

static void body(void *unused)
{
    child_ready();
    wait_go();
    int fd = must(open(path, O_RDWR));
    struct flock lock = probe(fd, F_RDLCK, 0, 150);
    check_equal("write lock: type", lock.l_type, F_WRLCK);
    check_equal("write lock: start", lock.l_start, 100);
    check_equal("write lock: length", lock.l_len, 100);
    check_equal("write lock: holder", lock.l_pid, parent_pid);
    lock = probe(fd, F_WRLCK, 500, 100);
    check_equal("read lock: type", lock.l_type, F_RDLCK);
    check_equal("read lock: to the end", lock.l_len, 0);
    check_equal("read locks can be shared", probe(fd, F_RDLCK, 500, 100).l_type, F_UNLCK);
    check_equal("between the locks", probe(fd, F_WRLCK, 200, 100).l_type, F_UNLCK);
}

int main(void)
{
    path = scratch("file");
    pid_t child = spawn(body, NULL);
    int fd = must(open(path, O_RDWR | O_CREAT, 0600));
    struct flock one = {.l_type = F_WRLCK, .l_start = 100, .l_len = 100};
    struct flock two = {.l_type = F_RDLCK, .l_start = 300, .l_len = 0};
    must(fcntl(fd, F_SETLK, &one));
    must(fcntl(fd, F_SETLK, &two));
    ready_and_wait();
    join_child(child);
    pass();
}
