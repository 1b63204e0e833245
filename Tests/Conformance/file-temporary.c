// A file without any name from its beginning: open(2) O_TMPFILE.
#include "conformance.h"

int main(void)
{
    int fd = open(getenv("FERMATA_SCRATCH"), O_TMPFILE | O_RDWR, 0600);
    if (fd < 0) skip("O_TMPFILE: %s", strerror(errno));
    write_pattern(fd, 30000, 1);
    must(lseek(fd, 100, SEEK_SET));
    ready_and_wait();
    check_equal("offset", lseek(fd, 0, SEEK_CUR), 100);
    check_equal("size", lseek(fd, 0, SEEK_END), 30000);
    must(lseek(fd, 0, SEEK_SET));
    read_pattern("content", fd, 30000, 1);
    write_all(fd, "more", 4);
    struct stat s;
    must(fstat(fd, &s));
    check_equal("size after", s.st_size, 30004);
    check_equal("links", s.st_nlink, 0);
    pass();
}
