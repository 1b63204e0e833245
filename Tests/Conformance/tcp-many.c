// Two hundred connections through one listener, each with bytes unread: tcp(7).
#include "conformance.h"

enum { COUNT = 200 };

int main(void)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = bound_socket(AF_INET, SOCK_STREAM, &address, &size), client[COUNT], server[COUNT];
    must(listen(listener, 16));
    for (int i = 0; i < COUNT; i++) {
        client[i] = must(socket(AF_INET, SOCK_STREAM, 0));
        must(connect(client[i], (struct sockaddr *)&address, size));
        server[i] = must(accept(listener, NULL, NULL));
        write_pattern(client[i], (size_t)i * 13, (unsigned)i);
        write_pattern(server[i], (size_t)(COUNT - i) * 7, (unsigned)i + 1);
    }
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        read_pattern("client to server", server[i], (size_t)i * 13, (unsigned)i);
        read_pattern("server to client", client[i], (size_t)(COUNT - i) * 7, (unsigned)i + 1);
        check_exchange("after", client[i], server[i]);
    }
    pass();
}
