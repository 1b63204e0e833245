// A TCP connection over IPv6, with unread bytes, and its listener: ipv6(7).
#include "conformance.h"

int main(void)
{
    struct connection c = tcp_connection(AF_INET6);
    write_pattern(c.client, 3000, 1);
    write_pattern(c.server, 4000, 2);
    int only = 0;
    socklen_t size = sizeof only;
    ready_and_wait();
    read_pattern("client to server", c.server, 3000, 1);
    read_pattern("server to client", c.client, 4000, 2);
    check_addresses("client to server", c.client, c.server);
    check_addresses("server to client", c.server, c.client);
    check_exchange("after", c.client, c.server);
    must(getsockopt(c.listener, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size));
    int s = must(socket(AF_INET6, SOCK_STREAM, 0));
    must(connect(s, (struct sockaddr *)&c.address, c.length));
    check_exchange("new connection", s, must(accept(c.listener, NULL, NULL)));
    pass();
}
