// Duplicated descriptors share an offset and flags, separately opened ones do not: dup(2), fork(2).
#include "conformance.h"

static int fd, alone;

static void body(void *unused)
{
    child_ready();
    wait_go();
    await(lseek(fd, 0, SEEK_CUR) == 500, "the parent's lseek is not seen");
    must(lseek(fd, 600, SEEK_SET));
    must(lseek(alone, 7, SEEK_SET));
    must(fcntl(fd, F_SETFL, O_APPEND));
}

int main(void)
{
    char *path = scratch("file");
    fd = must(open(path, O_RDWR | O_CREAT, 0600));
    write_pattern(fd, 1000, 1);
    must(lseek(fd, 100, SEEK_SET));
    int copy = must(dup(fd));
    pid_t child = spawn(body, NULL);
    alone = must(open(path, O_RDONLY));
    must(lseek(alone, 3, SEEK_SET));
    ready_and_wait();
    check_equal("offset of the copy", lseek(copy, 0, SEEK_CUR), 100);
    must(lseek(copy, 500, SEEK_SET));
    join_child(child);
    check_equal("offset set by the child", lseek(fd, 0, SEEK_CUR), 600);
    check(fcntl(copy, F_GETFL) & O_APPEND, "flag set by the child");
    check_equal("offset of the one opened alone", lseek(alone, 0, SEEK_CUR), 3);
    check(syscall(SYS_kcmp, getpid(), getpid(), 0, fd, copy) <= 0, "kcmp: no longer the same file");
    check(syscall(SYS_kcmp, getpid(), getpid(), 0, fd, alone) != 0, "kcmp: suddenly the same file");
    pass();
}
