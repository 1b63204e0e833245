// A connected pair of stream sockets with unread bytes in both directions: socketpair(2), unix(7).
#include "conformance.h"

int main(void)
{
    int s[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    int copy = must(dup(s[1]));
    write_pattern(s[0], 5000, 1);
    write_pattern(s[0], 20000, 2);
    write_pattern(s[1], 3000, 3);
    ready_and_wait();
    int bytes = 0;
    must(ioctl(s[1], FIONREAD, &bytes));
    check_equal("unread bytes", bytes, 25000);
    char byte = 0;
    check_equal("peek", recv(s[0], &byte, 1, MSG_PEEK), 1);
    check_equal("peeked byte", (uint8_t)byte, pattern_byte(0, 3));
    read_pattern("first part", s[1], 5000, 1);
    read_pattern("second part, through the copy", copy, 20000, 2);
    read_pattern("other direction", s[0], 3000, 3);
    check_nothing_to_read("one end", s[0]);
    check_nothing_to_read("other end", s[1]);
    check_exchange("afterwards", s[0], s[1]);
    close(s[1]);
    close(copy);
    check_equal("end of file", read(s[0], &byte, 1), 0);
    pass();
}
