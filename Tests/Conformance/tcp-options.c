// Options of TCP connections: tcp(7).
#include "conformance.h"

static const struct { int level, name, value; const char *text; } options[] = {
    {IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"}, {IPPROTO_TCP, TCP_KEEPIDLE, 77, "TCP_KEEPIDLE"},
    {IPPROTO_TCP, TCP_KEEPINTVL, 13, "TCP_KEEPINTVL"}, {IPPROTO_TCP, TCP_KEEPCNT, 5, "TCP_KEEPCNT"},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 90000, "TCP_USER_TIMEOUT"}, {IPPROTO_TCP, TCP_SYNCNT, 3, "TCP_SYNCNT"},
    {IPPROTO_TCP, TCP_LINGER2, 33, "TCP_LINGER2"}, {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 9999, "TCP_NOTSENT_LOWAT"},
    {IPPROTO_IP, IP_TOS, 0x10, "IP_TOS"}, {IPPROTO_IP, IP_TTL, 42, "IP_TTL"},
    {IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND"}, {SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"},
    {SOL_SOCKET, SO_SNDBUF, 100000, "SO_SNDBUF"}, {SOL_SOCKET, SO_RCVBUF, 150000, "SO_RCVBUF"},
};
enum { COUNT = sizeof options / sizeof *options };

static int get(int s, int i)
{
    int value = -1;
    socklen_t size = sizeof value;
    must(getsockopt(s, options[i].level, options[i].name, &value, &size));
    return value;
}

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    int changed[COUNT], unchanged[COUNT];
    char before[32] = "", after[32] = "";
    for (int i = 0; i < COUNT; i++) {
        must(setsockopt(c.client, options[i].level, options[i].name, &options[i].value, sizeof(int)));
        changed[i] = get(c.client, i);
        unchanged[i] = get(c.server, i);
    }
    socklen_t size = sizeof before - 1;
    must(setsockopt(c.client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    must(getsockopt(c.client, IPPROTO_TCP, TCP_CONGESTION, before, &size));
    write_pattern(c.client, 1000, 5);
    ready_and_wait();
    size = sizeof after - 1;
    must(getsockopt(c.client, IPPROTO_TCP, TCP_CONGESTION, after, &size));
    check(strcmp(before, after) == 0, "congestion control: expected %s, got %s", before, after);
    for (int i = 0; i < COUNT; i++) {
        check_equal(options[i].text, get(c.client, i), changed[i]);
        // The kernel tunes the buffers of the other end as long as nobody sets them.
        if (options[i].name == SO_SNDBUF || options[i].name == SO_RCVBUF) continue;
        check_equal(options[i].text, get(c.server, i), unchanged[i]);
    }
    read_pattern("bytes", c.server, 1000, 5);
    check_exchange("after", c.client, c.server);
    pass();
}
