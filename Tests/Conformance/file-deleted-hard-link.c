// A file opened by a name that is gone, but that still has another name: link(2).
#include "conformance.h"

int main(void)
{
    char *first = scratch("first"), *second = scratch("second"), text[32];
    int fd = must(open(first, O_RDWR | O_CREAT, 0600));
    write_all(fd, "before", 6);
    must(link(first, second));
    must(unlink(first));
    ready_and_wait();
    write_all(fd, "after", 5);
    check_equal("content by the second name", read_file(second, text, sizeof text), 11);
    check(strcmp(text, "beforeafter") == 0, "content by the second name: %s", text);
    struct stat s, t;
    must(fstat(fd, &s));
    must(stat(second, &t));
    check(s.st_ino == t.st_ino && s.st_dev == t.st_dev, "the descriptor and the name are two files");
    check_equal("links", s.st_nlink, 1);
    check(access(first, F_OK) == -1, "the first name is there again");
    pass();
}
