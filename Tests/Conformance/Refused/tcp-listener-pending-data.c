// Connections not accepted yet, without and with bytes, and one that its client has closed: listen(2).
#include "conformance.h"

int main(void)
{
    struct sockaddr_storage address, peer, own;
    socklen_t size;
    int listener = bound_socket(AF_INET, SOCK_STREAM, &address, &size), clients[3];
    must(listen(listener, 10));
    for (int i = 0; i < 3; i++) {
        clients[i] = must(socket(AF_INET, SOCK_STREAM, 0));
        must(connect(clients[i], (struct sockaddr *)&address, size));
        if (i) write_pattern(clients[i], 1000, (unsigned)i);
    }
    must(shutdown(clients[2], SHUT_WR));
    sleep_ms(20);
    ready_and_wait();
    for (int i = 0; i < 3; i++) {
        socklen_t peer_size = sizeof peer, own_size = sizeof own;
        struct pollfd p = {.fd = listener, .events = POLLIN};
        check_equal("a connection waits", poll(&p, 1, 3000), 1);
        int s = must(accept(listener, (struct sockaddr *)&peer, &peer_size));
        must(getsockname(clients[i], (struct sockaddr *)&own, &own_size));
        check_bytes("address of the client", &peer, &own, own_size);
        if (i) read_pattern("bytes sent before accept", s, 1000, (unsigned)i);
        char byte;
        if (i == 2) check_equal("end of file", read(s, &byte, 1), 0);
        else check_exchange("accepted connection", s, clients[i]);
    }
    check_nothing_to_read("listener", listener);
    pass();
}
