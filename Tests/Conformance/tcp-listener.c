// Listening TCP sockets, on one address and on all, accept new connections afterwards: listen(2).
#include "conformance.h"

static void try_it(const char *what, int listener, struct sockaddr_in address)
{
    int s = must(socket(AF_INET, SOCK_STREAM, 0));
    check(connect(s, (struct sockaddr *)&address, sizeof address) == 0, "%s: %s", what, strerror(errno));
    int t = must(accept(listener, NULL, NULL));
    check_exchange(what, s, t);
}

int main(void)
{
    struct sockaddr_in one, all = {.sin_family = AF_INET};
    struct sockaddr_storage address;
    socklen_t size;
    int a = bound_socket(AF_INET, SOCK_STREAM, &address, &size), on = 1, value = 0;
    memcpy(&one, &address, sizeof one);
    int b = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    must(setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    must(bind(b, (struct sockaddr *)&all, sizeof all));
    size = sizeof all;
    must(getsockname(b, (struct sockaddr *)&all, &size));
    must(listen(a, 3));
    must(listen(b, 100));
    ready_and_wait();
    size = sizeof value;
    must(getsockopt(a, SOL_SOCKET, SO_ACCEPTCONN, &value, &size));
    check_equal("listening", value, 1);
    try_it("listener on one address", a, one);
    all.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    try_it("listener on all addresses", b, all);
    check(accept(b, NULL, NULL) == -1 && errno == EAGAIN, "the listener blocks");
    int second = must(socket(AF_INET, SOCK_STREAM, 0));
    check(bind(second, (struct sockaddr *)&one, sizeof one) == -1 && errno == EADDRINUSE, "the port is free");
    pass();
}
