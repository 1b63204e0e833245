// TCP sockets that are new, or bound and nothing more: bind(2).
#include "conformance.h"

int main(void)
{
    struct sockaddr_storage address, after;
    socklen_t size, size_after = sizeof after;
    int new = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), on = 1;
    must(setsockopt(new, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    int bound = bound_socket(AF_INET, SOCK_STREAM, &address, &size);
    ready_and_wait();
    must(getsockname(bound, (struct sockaddr *)&after, &size_after));
    check_bytes("address of the bound socket", &after, &address, size);
    check(connect(new, (struct sockaddr *)&address, size) == -1 && errno == ECONNREFUSED,
          "connected to a socket that does not listen");
    must(listen(bound, 1));
    must(connect(new, (struct sockaddr *)&address, size));
    check_exchange("connected afterwards", new, must(accept(bound, NULL, NULL)));
    on = 0;
    size = sizeof on;
    must(getsockopt(new, IPPROTO_TCP, TCP_NODELAY, &on, &size));
    check_equal("option of the new socket", on, 1);
    pass();
}
