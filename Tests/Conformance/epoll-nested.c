// An epoll set within another one: epoll(7).
#include "conformance.h"
#include <sys/epoll.h>

int main(void)
{
    int p[2], q[2], inner = must(epoll_create1(0)), outer = must(epoll_create1(0));
    struct epoll_event a = {.events = EPOLLIN, .data.u32 = 1}, b = {.events = EPOLLIN, .data.u32 = 2};
    struct epoll_event c = {.events = EPOLLIN, .data.u32 = 3}, got[4];
    must(pipe(p));
    must(pipe(q));
    must(epoll_ctl(inner, EPOLL_CTL_ADD, p[0], &a));
    must(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &b));
    must(epoll_ctl(outer, EPOLL_CTL_ADD, q[0], &c));
    ready_and_wait();
    check_equal("events before", must(epoll_wait(outer, got, 4, 0)), 0);
    must(write(p[1], "x", 1));
    check_equal("events in the outer set", must(epoll_wait(outer, got, 4, 0)), 1);
    check_equal("data", got[0].data.u32, 2);
    check_equal("events in the inner set", must(epoll_wait(inner, got, 4, 0)), 1);
    check_equal("data", got[0].data.u32, 1);
    must(write(q[1], "x", 1));
    check_equal("events in the outer set", must(epoll_wait(outer, got, 4, 0)), 2);
    pass();
}
