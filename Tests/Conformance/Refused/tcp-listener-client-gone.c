// A connection not accepted yet whose client has sent, closed and forgotten it: listen(2), close(2).
#include "conformance.h"

int main(void)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = bound_socket(AF_INET, SOCK_STREAM, &address, &size);
    must(listen(listener, 10));
    int client = must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(client, (struct sockaddr *)&address, size));
    write_pattern(client, 1000, 1);
    must(close(client));
    sleep_ms(20);
    ready_and_wait();
    int s = must(accept(listener, NULL, NULL));
    read_pattern("bytes sent before accept", s, 1000, 1);
    char byte;
    check_equal("end of file", read(s, &byte, 1), 0);
    pass();
}
