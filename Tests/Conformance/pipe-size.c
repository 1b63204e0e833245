// A pipe whose capacity was changed: fcntl(2) F_SETPIPE_SZ.
#include "conformance.h"

int main(void)
{
    int large[2], small[2];
    must(pipe2(large, O_NONBLOCK));
    must(pipe2(small, O_NONBLOCK));
    must(fcntl(large[1], F_SETPIPE_SZ, 1 << 20));
    must(fcntl(small[1], F_SETPIPE_SZ, 4096));
    write_pattern(large[1], 900000, 1);
    ready_and_wait();
    check_equal("large capacity", fcntl(large[0], F_GETPIPE_SZ), 1 << 20);
    check_equal("small capacity", fcntl(small[0], F_GETPIPE_SZ), 4096);
    read_pattern("content", large[0], 900000, 1);
    check_nothing_to_read("large pipe", large[0]);
    char data[8192] = {0};
    check_equal("room in the small pipe", write(small[1], data, sizeof data), 4096);
    pass();
}
