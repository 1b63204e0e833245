// UDP over IPv6, bound, connected, and with waiting datagrams: ipv6(7), udp(7).
#include "conformance.h"

int main(void)
{
    struct sockaddr_storage a, b, from;
    socklen_t size, length = sizeof from;
    int one = bound_socket(AF_INET6, SOCK_DGRAM, &a, &size), other = bound_socket(AF_INET6, SOCK_DGRAM, &b, &size);
    must(connect(one, (struct sockaddr *)&b, size));
    write_pattern(one, 1500, 1);
    write_pattern(one, 20, 2);
    ready_and_wait();
    char data[2000];
    check_equal("size", recvfrom(other, data, sizeof data, 0, (struct sockaddr *)&from, &length), 1500);
    check_pattern("first datagram", data, 1500, 1);
    check_bytes("sender", &from, &a, size);
    check_equal("size", read(other, data, sizeof data), 20);
    check_pattern("second datagram", data, 20, 2);
    must(connect(other, (struct sockaddr *)&a, size));
    check_exchange("after", one, other);
    pass();
}
