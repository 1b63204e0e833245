// A connection that both sides have shut down, still open as descriptors with unread bytes: tcp(7).
#include "conformance.h"

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    char byte;
    write_pattern(c.client, 2000, 1);
    write_pattern(c.server, 1000, 2);
    must(shutdown(c.client, SHUT_WR));
    sleep_ms(20);
    must(shutdown(c.server, SHUT_WR));
    sleep_ms(20);
    ready_and_wait();
    read_pattern("client to server", c.server, 2000, 1);
    check_equal("end of file for the server", read(c.server, &byte, 1), 0);
    read_pattern("server to client", c.client, 1000, 2);
    check_equal("end of file for the client", read(c.client, &byte, 1), 0);
    pass();
}
