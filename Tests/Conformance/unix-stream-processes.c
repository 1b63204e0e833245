// Stream sockets between parent and child, through a named listener that is closed by then: unix(7).
#include "conformance.h"

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void body(void *unused)
{
    int s = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(connect(s, (struct sockaddr *)&address, sizeof address));
    write_pattern(s, 4000, 1);
    child_ready();
    wait_go();
    struct sockaddr_un peer;
    socklen_t size = sizeof peer;
    must(getpeername(s, (struct sockaddr *)&peer, &size));
    check(strcmp(peer.sun_path, address.sun_path) == 0, "name of the peer: %s", peer.sun_path);
    read_pattern("bytes for the child", s, 6000, 2);
    write_pattern(s, 100, 3);
}

int main(void)
{
    snprintf(address.sun_path, sizeof address.sun_path, "%s", scratch("socket"));
    int listener = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    must(bind(listener, (struct sockaddr *)&address, sizeof address));
    must(listen(listener, 5));
    pid_t child = spawn(body, NULL);
    int s = must(accept(listener, NULL, NULL));
    close(listener);
    write_pattern(s, 6000, 2);
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    ready_and_wait();
    must(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    (void)child; // after a restart SO_PEERCRED names the process that rebuilt the socket
    check_equal("user of the peer", credentials.uid, getuid());
    read_pattern("bytes for the parent", s, 4000, 1);
    read_pattern("bytes for the parent, afterwards", s, 100, 3);
    join_child(child);
    char byte;
    check_equal("end of file", read(s, &byte, 1), 0);
    pass();
}
