// Must be refused: a UNIX stream whose other end is outside the job: unix(7).
#include "conformance.h"

int main(void)
{
    const char *path = getenv("FERMATA_OUTSIDE_SOCKET");
    if (!path) skip("FERMATA_OUTSIDE_SOCKET is not set");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int s = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(connect(s, (struct sockaddr *)&address, sizeof address));
    ready_and_wait();
    struct pollfd p = {.fd = s, .events = POLLOUT};
    check_equal("poll", poll(&p, 1, 0), 1);
    check_equal("poll events", p.revents, POLLOUT);
    pass();
}
