// An idle TCP connection within the job goes on, under the same addresses: tcp(7).
#include "conformance.h"

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    struct sockaddr_storage before = {0}, after = {0};
    socklen_t size = sizeof before, size_after = sizeof after;
    check_exchange("before", c.client, c.server);
    must(getsockname(c.client, (struct sockaddr *)&before, &size));
    ready_and_wait();
    must(getsockname(c.client, (struct sockaddr *)&after, &size_after));
    check_bytes("own address", &after, &before, size);
    check_addresses("client to server", c.client, c.server);
    check_addresses("server to client", c.server, c.client);
    check_nothing_to_read("client", c.client);
    check_nothing_to_read("server", c.server);
    check_exchange("after", c.client, c.server);
    close(c.client);
    char byte;
    check_equal("end of file", read(c.server, &byte, 1), 0);
    pass();
}
