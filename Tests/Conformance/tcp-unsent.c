// Queues full in both directions without any writer blocked: sent and unsent bytes: tcp(7).
#include "conformance.h"

static size_t fill_up(int s, unsigned seed)
{
    size_t total = 0;
    for (int quiet = 0; quiet < 20;) {
        char data[1000];
        for (size_t i = 0; i < sizeof data; i++) data[i] = (char)pattern_byte(total + i, seed);
        ssize_t n = send(s, data, sizeof data, MSG_DONTWAIT);
        if (n > 0) total += (size_t)n, quiet = 0;
        else quiet++, sleep_ms(1);
    }
    return total;
}

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    int small = 20000, waiting = 0;
    must(setsockopt(c.server, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    size_t there = fill_up(c.client, 1), back = fill_up(c.server, 2);
    must(ioctl(c.client, TIOCOUTQ, &waiting));
    check(waiting > 0, "everything was sent");
    ready_and_wait();
    pid_t child = must(fork()); // a second reader, so that both directions flow
    if (child == 0) {
        read_pattern("server to client", c.client, back, 2);
        _exit(0);
    }
    children[child_count++] = child;
    read_pattern("client to server", c.server, there, 1);
    join_child(child);
    check_exchange("after", c.client, c.server);
    pass();
}
