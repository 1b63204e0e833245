// Sequenced packets keep their borders, end of file included: unix(7) SOCK_SEQPACKET.
#include "conformance.h"

int main(void)
{
    int s[2], closed[2];
    must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
    must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, closed));
    char data[40000];
    for (unsigned i = 1; i <= 5; i++) write_pattern(s[0], i * 1111, i);
    write_pattern(s[1], 30000, 7);
    write_pattern(closed[0], 50, 8);
    close(closed[0]);
    ready_and_wait();
    for (unsigned i = 1; i <= 5; i++) {
        check_equal("size", recv(s[1], data, sizeof data, MSG_DONTWAIT), i * 1111);
        check_pattern("packet", data, i * 1111, i);
    }
    check_equal("start of the large packet", recv(s[0], data, 100, MSG_DONTWAIT), 100);
    check_pattern("start of the large packet", data, 100, 7);
    check_nothing_to_read("one end", s[0]);
    check_equal("packet of the closed socket", recv(closed[1], data, sizeof data, MSG_DONTWAIT), 50);
    check_pattern("packet of the closed socket", data, 50, 8);
    check_equal("end of file", recv(closed[1], data, sizeof data, MSG_DONTWAIT), 0);
    must(write(s[1], "abc", 3));
    check_equal("packet afterwards", read(s[0], data, sizeof data), 3);
    pass();
}
