// A memory file: content, size, offset, name and seals: memfd_create(2), fcntl(2) F_GET_SEALS.
#include "conformance.h"

int main(void)
{
    int fd = must(memfd_create("a name with spaces", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    write_pattern(fd, 10000, 1);
    must(lseek(fd, 777, SEEK_SET));
    must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    int plain = must(memfd_create("plain", 0));
    must(ftruncate(plain, 1 << 20));
    must(pwrite(plain, "x", 1, 500000));
    ready_and_wait();
    check_equal("offset", lseek(fd, 0, SEEK_CUR), 777);
    check_equal("seals", fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
    check(ftruncate(fd, 5) == -1 && errno == EPERM, "a sealed file could be shrunk");
    must(lseek(fd, 0, SEEK_SET));
    read_pattern("content", fd, 10000, 1);
    check_equal("close-on-exec", fcntl(fd, F_GETFD), FD_CLOEXEC);
    check_equal("seals of the plain one", fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
    char path[64], name[256] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    must(readlink(path, name, sizeof name - 1));
    check(strcmp(name, "/memfd:a name with spaces (deleted)") == 0, "name: %s", name);
    struct stat s;
    must(fstat(plain, &s));
    check_equal("size of the plain one", s.st_size, 1 << 20);
    char byte = 0;
    must(pread(plain, &byte, 1, 500000));
    check_equal("byte of the plain one", byte, 'x');
    must(ftruncate(plain, 100));
    pass();
}
