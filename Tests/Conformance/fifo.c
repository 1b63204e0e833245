// A FIFO with content, its two ends in two processes, and one open for both: fifo(7).
#include "conformance.h"

static char *path, *both;

static void body(void *unused)
{
    int fd = must(open(path, O_WRONLY));
    write_pattern(fd, 9000, 1);
    child_ready();
    wait_go();
    write_pattern(fd, 1000, 2);
}

int main(void)
{
    path = scratch("fifo");
    both = scratch("both");
    must(mkfifo(path, 0600));
    must(mkfifo(both, 0600));
    int fd = must(open(path, O_RDONLY | O_NONBLOCK));
    must(fcntl(fd, F_SETFL, 0));
    pid_t child = spawn(body, NULL);
    int one = must(open(both, O_RDWR));
    write_pattern(one, 500, 3);
    ready_and_wait();
    read_pattern("content", fd, 9000, 1);
    read_pattern("content written afterwards", fd, 1000, 2);
    join_child(child);
    char byte;
    check_equal("end of file", read(fd, &byte, 1), 0);
    int writer = must(open(both, O_WRONLY | O_NONBLOCK));
    write_pattern(writer, 100, 4);
    read_pattern("FIFO open for both", one, 500, 3);
    read_pattern("FIFO open for both, afterwards", one, 100, 4);
    pass();
}
