// Must be refused (by the default policy): a TCP connection whose outside peer has ended its direction: shutdown(2).
#include "conformance.h"

int main(void)
{
    const char *port = getenv("FERMATA_OUTSIDE_CLOSING_PORT");
    if (!port) skip("FERMATA_OUTSIDE_CLOSING_PORT is not set");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(s, (struct sockaddr *)&address, sizeof address));
    struct pollfd p = {.fd = s, .events = POLLRDHUP};
    check_equal("the peer ends its direction", poll(&p, 1, 5000), 1);
    ready_and_wait();
    int error = -1;
    socklen_t size = sizeof error;
    must(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size));
    check_equal("state of the connection", error, 0);
    struct sockaddr_in peer;
    size = sizeof peer;
    must(getpeername(s, (struct sockaddr *)&peer, &size));
    check_equal("port of the peer", ntohs(peer.sin_port), atoi(port));
    pass();
}
