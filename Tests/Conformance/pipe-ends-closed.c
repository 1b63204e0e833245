// Pipes with one end closed: unread data then end of file; EPIPE for the writer: pipe(7).
#include "conformance.h"

int main(void)
{
    int no_writer[2], no_reader[2], drained[2];
    char byte;
    must(pipe(no_writer));
    must(pipe(no_reader));
    must(pipe(drained));
    write_pattern(no_writer[1], 7000, 1);
    close(no_writer[1]);
    close(drained[1]);
    write_pattern(no_reader[1], 100, 2);
    close(no_reader[0]);
    signal(SIGPIPE, SIG_IGN);
    ready_and_wait();
    read_pattern("pipe without writer", no_writer[0], 7000, 1);
    check_equal("end of file after the data", read(no_writer[0], &byte, 1), 0);
    check_equal("end of file", read(drained[0], &byte, 1), 0);
    check(write(no_reader[1], "x", 1) == -1 && errno == EPIPE, "writing without a reader");
    struct pollfd p = {.fd = drained[0], .events = POLLIN};
    check_equal("poll", poll(&p, 1, 0), 1);
    check_equal("poll events", p.revents, POLLHUP);
    pass();
}
