// An epoll entry whose descriptor was closed while a copy of it is open: epoll(7), questions and answers.
#include "conformance.h"
#include <sys/epoll.h>

int main(void)
{
    int p[2], q[2], epoll = must(epoll_create1(0));
    struct epoll_event a = {.events = EPOLLIN, .data.u64 = 11}, b = {.events = EPOLLIN, .data.u64 = 22}, got[4];
    must(pipe(p));
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &a));
    int copy = must(dup(p[0])), number = p[0];
    close(p[0]);
    must(pipe(q));
    check_equal("the number is used again", q[0], number);
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, q[0], &b)); // two entries with one number
    ready_and_wait();
    check_equal("events before", must(epoll_wait(epoll, got, 4, 0)), 0);
    must(write(p[1], "x", 1));
    check_equal("events of the closed descriptor", must(epoll_wait(epoll, got, 4, 0)), 1);
    check_equal("data", got[0].data.u64, 11);
    must(write(q[1], "x", 1));
    check_equal("events of both", must(epoll_wait(epoll, got, 4, 0)), 2);
    close(copy); // the last copy: the entry goes
    check_equal("events after the last close", must(epoll_wait(epoll, got, 4, 0)), 1);
    check_equal("data", got[0].data.u64, 22);
    pass();
}
