// Connections that wait to be accepted, with bytes already sent, one of them closed: listen(2), unix(7).
#include "conformance.h"

int main(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", scratch("socket"));
    int listener = must(socket(AF_UNIX, SOCK_STREAM, 0)), clients[4];
    must(bind(listener, (struct sockaddr *)&address, sizeof address));
    must(listen(listener, 10));
    for (int i = 0; i < 4; i++) {
        clients[i] = must(socket(AF_UNIX, SOCK_STREAM, 0));
        must(connect(clients[i], (struct sockaddr *)&address, sizeof address));
        if (i) write_pattern(clients[i], 1000u * (unsigned)i, (unsigned)i);
    }
    close(clients[3]);
    ready_and_wait();
    for (int i = 0; i < 4; i++) { // in order of connecting
        struct pollfd p = {.fd = listener, .events = POLLIN};
        check_equal("a connection waits", poll(&p, 1, 0), 1);
        int s = must(accept(listener, NULL, NULL));
        if (i) read_pattern("bytes sent before accept", s, 1000u * (unsigned)i, (unsigned)i);
        char byte;
        if (i == 3) check_equal("end of file", read(s, &byte, 1), 0);
        else check_exchange("accepted connection", s, clients[i]);
    }
    check_nothing_to_read("listener", listener);
    pass();
}
