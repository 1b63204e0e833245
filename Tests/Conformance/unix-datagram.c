// Datagram sockets with names: queued datagrams keep borders, order and senders: unix(7).
#include "conformance.h"

static int named_socket(const char *name, struct sockaddr_un *address)
{
    int s = must(socket(AF_UNIX, SOCK_DGRAM, 0));
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "%s", scratch(name));
    must(bind(s, (struct sockaddr *)address, sizeof *address));
    return s;
}

int main(void)
{
    struct sockaddr_un one, two, to, from;
    int a = named_socket("one", &one), b = named_socket("two", &two), receiver = named_socket("to", &to);
    int anonymous = must(socket(AF_UNIX, SOCK_DGRAM, 0)), senders[3] = {a, b, anonymous};
    must(connect(anonymous, (struct sockaddr *)&to, sizeof to));
    char data[2000];
    for (int i = 0; i < 9; i++) {
        size_t size = (size_t)(i * 131 % 1000); // the first is empty
        fill(data, size, (unsigned)i);
        must(sendto(senders[i % 3], data, size, 0, i % 3 < 2 ? (struct sockaddr *)&to : NULL,
                    i % 3 < 2 ? sizeof to : 0));
    }
    ready_and_wait();
    for (int i = 0; i < 9; i++) {
        socklen_t length = sizeof from;
        memset(&from, 0, sizeof from);
        ssize_t n = must(recvfrom(receiver, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &length));
        check_equal("size", n, i * 131 % 1000);
        check_pattern("datagram", data, (size_t)n, (unsigned)i);
        if (i % 3 == 0) check(strcmp(from.sun_path, one.sun_path) == 0, "sender %d: %s", i, from.sun_path);
        if (i % 3 == 1) check(strcmp(from.sun_path, two.sun_path) == 0, "sender %d: %s", i, from.sun_path);
        if (i % 3 == 2) check(length <= sizeof(sa_family_t), "sender %d has a name: %s", i, from.sun_path);
    }
    check_nothing_to_read("receiver", receiver);
    must(send(anonymous, "x", 1, 0));
    check_equal("datagram afterwards", read(receiver, data, sizeof data), 1);
    must(sendto(receiver, "back", 4, 0, (struct sockaddr *)&one, sizeof one));
    check_equal("datagram back", read(a, data, sizeof data), 4);
    pass();
}
