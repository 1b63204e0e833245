// Connected UDP sockets know their peer and take datagrams of no other: udp(7), connect(2).
#include "conformance.h"

int main(void)
{
    struct sockaddr_storage a, b, c;
    socklen_t size;
    int one = bound_socket(AF_INET, SOCK_DGRAM, &a, &size), other = bound_socket(AF_INET, SOCK_DGRAM, &b, &size);
    int stranger = bound_socket(AF_INET, SOCK_DGRAM, &c, &size);
    must(connect(one, (struct sockaddr *)&b, size));
    must(connect(other, (struct sockaddr *)&a, size));
    write_pattern(one, 500, 1);
    ready_and_wait();
    check_addresses("one end", one, other);
    check_addresses("other end", other, one);
    must(sendto(stranger, "x", 1, 0, (struct sockaddr *)&b, size));
    read_pattern("waiting datagram", other, 500, 1);
    sleep_ms(10);
    check_nothing_to_read("connected socket", other);
    check_exchange("after", one, other);
    pass();
}
