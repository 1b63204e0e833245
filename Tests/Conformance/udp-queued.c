// Datagrams from several senders wait in a UDP socket, with their senders' addresses: udp(7).
#include "conformance.h"

static void run(int family)
{
    struct sockaddr_storage address, senders[3], from;
    socklen_t size, length;
    int receiver = bound_socket(family, SOCK_DGRAM, &address, &size), s[3];
    char data[2000];
    for (int i = 0; i < 3; i++) s[i] = bound_socket(family, SOCK_DGRAM, &senders[i], &size);
    for (int i = 0; i < 12; i++) {
        fill(data, (size_t)i * 100, (unsigned)i); // the first is empty
        must(sendto(s[i % 3], data, (size_t)i * 100, 0, (struct sockaddr *)&address, size));
    }
    close(s[2]);
    ready_and_wait();
    for (int i = 0; i < 12; i++) {
        length = sizeof from;
        ssize_t n = must(recvfrom(receiver, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &length));
        check_equal("size", n, i * 100);
        check_pattern("datagram", data, (size_t)n, (unsigned)i);
        check_bytes("sender", &from, &senders[i % 3], size);
    }
    check_nothing_to_read("receiver", receiver);
    must(sendto(receiver, "back", 4, 0, (struct sockaddr *)&senders[0], size));
    check_equal("datagram back", read(s[0], data, sizeof data), 4);
}

int main(void)
{
    run(AF_INET);
    pass();
}
