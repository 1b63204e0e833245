// A non-blocking connect that has finished before anybody asked for its result: connect(2).
#include "conformance.h"

static int socket_error(int s)
{
    int error = -1;
    socklen_t size = sizeof error;
    must(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size));
    return error;
}

int main(void)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = bound_socket(AF_INET, SOCK_STREAM, &address, &size);
    must(listen(listener, 5));
    int s = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    check(connect(s, (struct sockaddr *)&address, size) == 0 || errno == EINPROGRESS, "%s", strerror(errno));
    struct pollfd p = {.fd = s, .events = POLLOUT};
    await(poll(&p, 1, 0) == 1, "the connection is not established");
    ready_and_wait();
    check_equal("poll", poll(&p, 1, 0), 1);
    check_equal("poll events", p.revents, POLLOUT);
    check_equal("result of the connect", socket_error(s), 0);
    int t = must(accept(listener, NULL, NULL));
    must(fcntl(s, F_SETFL, 0));
    check_exchange("connection", s, t);
    pass();
}
