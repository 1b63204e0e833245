// A connection whose peer is closed, with unread bytes before the end of file: tcp(7).
#include "conformance.h"

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    write_pattern(c.client, 5000, 1);
    close(c.client);
    struct pollfd p = {.fd = c.server, .events = POLLRDHUP};
    await(poll(&p, 1, 0) == 1, "the end does not arrive");
    ready_and_wait();
    read_pattern("bytes before the end", c.server, 5000, 1);
    char byte;
    check_equal("end of file", read(c.server, &byte, 1), 0);
    pass();
}
