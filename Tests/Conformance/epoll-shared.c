// An epoll set that parent and child share over fork, watching sockets: epoll(7), fork(2).
#include "conformance.h"
#include <sys/epoll.h>

static int epoll, s[2];

static void body(void *unused)
{
    struct epoll_event got;
    child_ready();
    int n = epoll_wait(epoll, &got, 1, -1);
    check(n == 1, "epoll_wait: %d %s", n, n < 0 ? strerror(errno) : "");
    check(is_go(), "an event before go");
    check(got.events & EPOLLIN && got.data.fd == s[0], "another event: 0x%x", got.events);
    must(epoll_ctl(epoll, EPOLL_CTL_DEL, s[0], NULL));
}

int main(void)
{
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    epoll = must(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = s[0]}, got;
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, s[0], &event));
    pid_t child = spawn(body, NULL);
    wait_blocked(child, SYS_epoll_wait);
    ready_and_wait();
    must(write(s[1], "x", 1));
    join_child(child);
    check_equal("events after the child removed the entry", must(epoll_wait(epoll, &got, 1, 0)), 0);
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, s[0], &event));
    check_equal("events of the entry added again", must(epoll_wait(epoll, &got, 1, 0)), 1);
    pass();
}
