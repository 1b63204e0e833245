// A connected pair of datagram sockets, one closed with datagrams unread: socketpair(2).
#include "conformance.h"

int main(void)
{
    int s[2], closed[2];
    char data[4096];
    must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s));
    must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, closed));
    int sent = 0; // until the receiver is full
    for (fill(data, 700, 1); write(s[0], data, 700) == 700; fill(data, 700, 1 + (unsigned)sent)) sent++;
    write_pattern(closed[0], 900, 3);
    close(closed[0]);
    ready_and_wait();
    check(write(s[0], data, 700) == -1 && errno == EAGAIN, "the receiver is no longer full");
    for (int i = 0; i < sent; i++) {
        check_equal("size", read(s[1], data, sizeof data), 700);
        check_pattern("datagram", data, 700, 1 + (unsigned)i);
    }
    check(read(s[1], data, sizeof data) == -1 && errno == EAGAIN, "one more datagram");
    check_equal("size", read(closed[1], data, sizeof data), 900);
    check_pattern("datagram of the closed socket", data, 900, 3);
    check(write(closed[1], "x", 1) == -1, "the closed socket takes datagrams");
    pass();
}
