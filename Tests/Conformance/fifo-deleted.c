// A FIFO whose name is gone, with content: unlink(2), fifo(7).
#include "conformance.h"

int main(void)
{
    char *path = scratch("fifo");
    must(mkfifo(path, 0600));
    int reader = must(open(path, O_RDONLY | O_NONBLOCK)), writer = must(open(path, O_WRONLY));
    must(unlink(path));
    write_pattern(writer, 3000, 1);
    ready_and_wait();
    check(access(path, F_OK) == -1, "the FIFO has its name again");
    read_pattern("content", reader, 3000, 1);
    write_pattern(writer, 200, 2);
    read_pattern("content afterwards", reader, 200, 2);
    close(writer);
    char byte;
    check_equal("end of file", read(reader, &byte, 1), 0);
    pass();
}
