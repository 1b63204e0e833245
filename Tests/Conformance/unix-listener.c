// Listening sockets with a path and with an abstract name accept connections afterwards: unix(7).
#include "conformance.h"

static void try_it(const char *what, int listener, struct sockaddr_un *address, socklen_t size)
{
    int s = must(socket(AF_UNIX, SOCK_STREAM, 0));
    check(connect(s, (struct sockaddr *)address, size) == 0, "%s: connect: %s", what, strerror(errno));
    int t = must(accept(listener, NULL, NULL));
    check_exchange(what, s, t);
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    must(getsockname(t, (struct sockaddr *)&name, &length));
    check(length >= 3 && memcmp(name.sun_path, address->sun_path, 10) == 0, "%s: another name", what);
}

int main(void)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX}, abstract = {.sun_family = AF_UNIX};
    snprintf(path.sun_path, sizeof path.sun_path, "%s", scratch("socket"));
    int n = snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "fermata-%d", getpid());
    socklen_t abstract_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    int a = must(socket(AF_UNIX, SOCK_STREAM, 0)), b = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(bind(a, (struct sockaddr *)&path, sizeof path));
    must(bind(b, (struct sockaddr *)&abstract, abstract_size));
    must(chmod(path.sun_path, 0640));
    must(listen(a, 5));
    must(listen(b, 5));
    ready_and_wait();
    int listening = 0;
    socklen_t size = sizeof listening;
    must(getsockopt(a, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size));
    check_equal("listening", listening, 1);
    struct stat s;
    must(stat(path.sun_path, &s));
    check_equal("mode of the path", s.st_mode & 0777, 0640);
    try_it("listener with a path", a, &path, sizeof path);
    try_it("listener with an abstract name", b, &abstract, abstract_size);
    pass();
}
