// A pipe in packet mode keeps the borders of its packets: pipe(2) O_DIRECT.
#include "conformance.h"

int main(void)
{
    int p[2];
    must(pipe2(p, O_DIRECT | O_NONBLOCK));
    write_pattern(p[1], 10, 1);
    write_pattern(p[1], 4096, 2);
    write_pattern(p[1], 300, 3);
    ready_and_wait();
    char data[8192];
    check(fcntl(p[1], F_GETFL) & O_DIRECT, "the pipe is no longer in packet mode");
    check_equal("first packet", read(p[0], data, sizeof data), 10);
    check_pattern("first packet", data, 10, 1);
    check_equal("second packet", read(p[0], data, sizeof data), 4096);
    check_pattern("second packet", data, 4096, 2);
    check_equal("part of the third packet", read(p[0], data, 100), 100);
    check_pattern("part of the third packet", data, 100, 3);
    check(read(p[0], data, 1) == -1 && errno == EAGAIN, "the rest of the packet was not dropped");
    pass();
}
