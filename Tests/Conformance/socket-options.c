// Options of UNIX, TCP and UDP sockets: socket(7), setsockopt(2).
#include "conformance.h"

static const struct { int name, value; const char *text; } options[] = {
    {SO_SNDBUF, 30000, "SO_SNDBUF"}, {SO_RCVBUF, 50000, "SO_RCVBUF"}, {SO_RCVLOWAT, 3, "SO_RCVLOWAT"},
    {SO_REUSEADDR, 1, "SO_REUSEADDR"}, {SO_REUSEPORT, 1, "SO_REUSEPORT"}, {SO_KEEPALIVE, 1, "SO_KEEPALIVE"},
    {SO_BROADCAST, 1, "SO_BROADCAST"}, {SO_OOBINLINE, 1, "SO_OOBINLINE"}, {SO_PASSCRED, 1, "SO_PASSCRED"},
    {SO_PRIORITY, 5, "SO_PRIORITY"}, {SO_TIMESTAMP, 1, "SO_TIMESTAMP"}, {SO_DONTROUTE, 1, "SO_DONTROUTE"},
    {SO_NO_CHECK, 1, "SO_NO_CHECK"}, {SO_MARK, 17, "SO_MARK"},
};
enum { COUNT = sizeof options / sizeof *options, SOCKETS = 4 };

static int get(int s, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    if (getsockopt(s, SOL_SOCKET, name, &value, &size) < 0) return -1000 - errno;
    return value;
}

int main(void)
{
    int pair[2], before[SOCKETS][COUNT];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct sockaddr_storage address;
    socklen_t size;
    int sockets[SOCKETS] = {pair[0], tcp_connection(AF_INET).client,
                            bound_socket(AF_INET, SOCK_DGRAM, &address, &size),
                            bound_socket(AF_INET, SOCK_STREAM, &address, &size)};
    struct timeval receive = {7, 500000}, send = {100, 0}, got;
    struct linger linger = {1, 12}, lingering;
    for (int i = 0; i < SOCKETS; i++) {
        for (int k = 0; k < COUNT; k++) { // not every kind of socket has every option
            setsockopt(sockets[i], SOL_SOCKET, options[k].name, &options[k].value, sizeof(int));
            before[i][k] = get(sockets[i], options[k].name);
        }
        must(setsockopt(sockets[i], SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof receive));
        must(setsockopt(sockets[i], SOL_SOCKET, SO_SNDTIMEO, &send, sizeof send));
        must(setsockopt(sockets[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    }
    ready_and_wait();
    for (int i = 0; i < SOCKETS; i++) {
        for (int k = 0; k < COUNT; k++) {
            int value = get(sockets[i], options[k].name);
            check(value == before[i][k], "socket %d: %s: expected %d, got %d", i, options[k].text,
                  before[i][k], value);
        }
        socklen_t length = sizeof got;
        must(getsockopt(sockets[i], SOL_SOCKET, SO_RCVTIMEO, &got, &length));
        check(got.tv_sec == 7 && got.tv_usec == 500000, "socket %d: SO_RCVTIMEO %ld s", i, got.tv_sec);
        must(getsockopt(sockets[i], SOL_SOCKET, SO_SNDTIMEO, &got, &length));
        check(got.tv_sec == 100 && got.tv_usec == 0, "socket %d: SO_SNDTIMEO %ld s", i, got.tv_sec);
        length = sizeof lingering;
        must(getsockopt(sockets[i], SOL_SOCKET, SO_LINGER, &lingering, &length));
        check(lingering.l_onoff == 1 && lingering.l_linger == 12, "socket %d: SO_LINGER", i);
    }
    struct linger none = {0, 0};
    setsockopt(sockets[1], SOL_SOCKET, SO_LINGER, &none, sizeof none);
    pass();
}
