// Locks of an open file description stay held: fcntl(2) F_OFD_SETLK.
#include "conformance.h"

int main(void)
{
    char *path = scratch("file");
    int fd = must(open(path, O_RDWR | O_CREAT, 0600)), other = must(open(path, O_RDWR));
    struct flock one = {.l_type = F_WRLCK, .l_start = 100, .l_len = 100};
    struct flock two = {.l_type = F_RDLCK, .l_start = 300, .l_len = 50};
    must(fcntl(fd, F_OFD_SETLK, &one));
    must(fcntl(other, F_OFD_SETLK, &two));
    ready_and_wait();
    struct flock lock = {.l_type = F_RDLCK, .l_start = 0, .l_len = 0};
    must(fcntl(other, F_OFD_GETLK, &lock));
    check_equal("write lock: type", lock.l_type, F_WRLCK);
    check_equal("write lock: start", lock.l_start, 100);
    check_equal("write lock: length", lock.l_len, 100);
    check_equal("write lock: no process holds it", lock.l_pid, -1);
    lock = (struct flock){.l_type = F_WRLCK, .l_start = 320, .l_len = 1};
    must(fcntl(fd, F_OFD_GETLK, &lock));
    check_equal("read lock: type", lock.l_type, F_RDLCK);
    check_equal("read lock: start", lock.l_start, 300);
    lock = (struct flock){.l_type = F_WRLCK, .l_start = 320, .l_len = 1};
    must(fcntl(other, F_OFD_GETLK, &lock));
    check_equal("a file does not conflict with itself", lock.l_type, F_UNLCK);
    pass();
}
