// A file open for appending appends, wherever its end is by then: open(2) O_APPEND.
#include "conformance.h"

int main(void)
{
    char *path = scratch("file"), text[64];
    int fd = must(open(path, O_WRONLY | O_CREAT | O_APPEND, 0600));
    write_all(fd, "one ", 4);
    int other = must(open(path, O_RDWR | O_APPEND));
    write_all(other, "two ", 4);
    ready_and_wait();
    check_equal("flags", fcntl(fd, F_GETFL) & (O_APPEND | O_ACCMODE), O_APPEND | O_WRONLY);
    write_all(fd, "three ", 6);
    write_all(other, "four ", 5);
    write_all(fd, "five", 4);
    read_file(path, text, sizeof text);
    check(strcmp(text, "one two three four five") == 0, "content: %s", text);
    check_equal("offset after", lseek(fd, 0, SEEK_CUR), 23);
    pass();
}
