// UNIX sockets that are new, only bound, or bound to a name the kernel chose: unix(7) autobind.
#include "conformance.h"

int main(void)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX}, automatic, after;
    snprintf(path.sun_path, sizeof path.sun_path, "%s", scratch("socket"));
    int new = must(socket(AF_UNIX, SOCK_STREAM, 0)), bound = must(socket(AF_UNIX, SOCK_STREAM, 0));
    int named = must(socket(AF_UNIX, SOCK_DGRAM, 0)), sender = must(socket(AF_UNIX, SOCK_DGRAM, 0));
    must(bind(bound, (struct sockaddr *)&path, sizeof path));
    must(bind(named, (struct sockaddr *)&path, sizeof(sa_family_t)));
    socklen_t size = sizeof automatic, size_after = sizeof after;
    must(getsockname(named, (struct sockaddr *)&automatic, &size));
    ready_and_wait();
    must(getsockname(named, (struct sockaddr *)&after, &size_after));
    check_equal("length of the chosen name", size_after, size);
    check_bytes("chosen name", &after, &automatic, size);
    must(sendto(sender, "hello", 5, 0, (struct sockaddr *)&automatic, size));
    char text[16];
    check_equal("datagram to the chosen name", read(named, text, sizeof text), 5);
    check(connect(new, (struct sockaddr *)&path, sizeof path) == -1 && errno == ECONNREFUSED,
          "connected to a socket that does not listen");
    must(listen(bound, 1));
    must(connect(new, (struct sockaddr *)&path, sizeof path));
    check_exchange("connected afterwards", new, must(accept(bound, NULL, NULL)));
    pass();
}
