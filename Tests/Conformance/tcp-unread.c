// Bytes that have arrived and are not read yet, in both directions: tcp(7).
#include "conformance.h"

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    write_pattern(c.client, 40000, 1);
    write_pattern(c.server, 7, 2);
    char first = 0;
    read_all("first byte", c.server, &first, 1);
    int bytes = 0, after = 0;
    await(ioctl(c.server, FIONREAD, &bytes) == 0 && bytes == 39999, "the bytes do not arrive");
    ready_and_wait();
    must(ioctl(c.server, FIONREAD, &after));
    check_equal("unread bytes", after, 39999);
    char *rest = malloc(40000), *whole = malloc(40000);
    fill(whole, 40000, 1);
    read_all("client to server", c.server, rest, 39999);
    check_bytes("client to server", rest, whole + 1, 39999);
    read_pattern("server to client", c.client, 7, 2);
    check_nothing_to_read("server", c.server);
    check_exchange("after", c.client, c.server);
    pass();
}
