// Open files keep offset, access mode and content: open(2), lseek(2).
#include "conformance.h"

int main(void)
{
    char *path = scratch("file"), *second = scratch("a name, with spaces\nand a newline");
    int fd = must(open(path, O_RDWR | O_CREAT, 0600));
    write_pattern(fd, 10000, 1);
    must(lseek(fd, 1234, SEEK_SET));
    int reader = must(open(path, O_RDONLY)), writer = must(open(second, O_WRONLY | O_CREAT, 0600));
    must(lseek(reader, 99999, SEEK_SET)); // behind the end
    write_pattern(writer, 77, 2);
    ready_and_wait();
    check_equal("offset", lseek(fd, 0, SEEK_CUR), 1234);
    check_equal("offset behind the end", lseek(reader, 0, SEEK_CUR), 99999);
    check_equal("offset of the writer", lseek(writer, 0, SEEK_CUR), 77);
    char byte = 0;
    check(write(reader, "x", 1) == -1 && errno == EBADF, "the reader can write");
    check(read(writer, &byte, 1) == -1 && errno == EBADF, "the writer can read");
    must(lseek(reader, 0, SEEK_SET));
    read_pattern("content", reader, 10000, 1);
    check_equal("at the end", read(reader, &byte, 1), 0);
    write_all(fd, "abc", 3);
    must(pread(reader, &byte, 1, 1235));
    check_equal("written at the offset", byte, 'b');
    write_all(writer, "abc", 3);
    struct stat s;
    must(stat(second, &s));
    check_equal("size of the second file", s.st_size, 80);
    pass();
}
