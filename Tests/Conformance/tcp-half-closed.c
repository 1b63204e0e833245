// A connection shut down in one direction, with bytes before the end unread: shutdown(2), tcp(7).
#include "conformance.h"

static int state(int s)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    must(getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &size));
    return info.tcpi_state;
}

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    char byte;
    write_pattern(c.client, 2000, 1);
    must(shutdown(c.client, SHUT_WR));
    write_pattern(c.server, 500, 2);
    await(state(c.client) == TCP_FIN_WAIT2, "the shutdown is not acknowledged");
    signal(SIGPIPE, SIG_IGN);
    ready_and_wait();
    check_equal("state of the server", state(c.server), TCP_CLOSE_WAIT);
    // Its FIN may be acknowledged a little later after a restart.
    await(state(c.client) == TCP_FIN_WAIT2, "the client does not reach FIN_WAIT2");
    read_pattern("before the end", c.server, 2000, 1);
    check_equal("end of file", read(c.server, &byte, 1), 0);
    check(write(c.client, "x", 1) == -1 && errno == EPIPE, "writing after the shutdown");
    write_pattern(c.server, 3000, 3);
    read_pattern("other direction", c.client, 500, 2);
    read_pattern("other direction, afterwards", c.client, 3000, 3);
    close(c.server);
    check_equal("end of file in the other direction", read(c.client, &byte, 1), 0);
    pass();
}
