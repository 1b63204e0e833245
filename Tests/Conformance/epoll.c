// An epoll set: level, edge and one-shot entries, with their data: epoll(7).
#include "conformance.h"
#include <sys/epoll.h>

enum { LEVEL, EDGE, ONE_SHOT, DISARMED, QUIET, OUTPUT, COUNT };
static int epoll, pipes[COUNT][2];

// The set of entries that epoll_wait reports now.
static unsigned reported(void)
{
    struct epoll_event events[COUNT + 1];
    int n = must(epoll_wait(epoll, events, COUNT + 1, 0));
    unsigned set = 0;
    for (int i = 0; i < n; i++) {
        uint64_t entry = events[i].data.u64 - 0x1234567800000000u;
        check(entry < COUNT, "unknown data 0x%lx", events[i].data.u64);
        check_equal("events", events[i].events, entry == OUTPUT ? EPOLLOUT : EPOLLIN);
        set |= 1u << entry;
    }
    return set;
}

int main(void)
{
    static const unsigned wanted[COUNT] = {EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT,
                                           EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLPRI, EPOLLOUT};
    epoll = must(epoll_create1(EPOLL_CLOEXEC));
    for (unsigned i = 0; i < COUNT; i++) {
        struct epoll_event event = {.events = wanted[i], .data.u64 = 0x1234567800000000u + i};
        must(pipe(pipes[i]));
        must(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[i][i == OUTPUT], &event));
    }
    must(write(pipes[DISARMED][1], "x", 1));
    check_equal("before", reported(), 1u << DISARMED | 1u << OUTPUT);
    must(write(pipes[LEVEL][1], "x", 1));
    must(write(pipes[EDGE][1], "x", 1));
    ready_and_wait();
    unsigned first = reported();
    check_equal("first report", first, 1u << LEVEL | 1u << EDGE | 1u << OUTPUT);
    check_equal("second report", reported(), 1u << LEVEL | 1u << OUTPUT);
    must(write(pipes[EDGE][1], "x", 1));
    must(write(pipes[ONE_SHOT][1], "x", 1));
    must(write(pipes[QUIET][1], "x", 1));
    check_equal("new input", reported(), 1u << LEVEL | 1u << EDGE | 1u << ONE_SHOT | 1u << QUIET | 1u << OUTPUT);
    check_equal("afterwards", reported(), 1u << LEVEL | 1u << QUIET | 1u << OUTPUT);
    struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 0x1234567800000000u + DISARMED};
    must(epoll_ctl(epoll, EPOLL_CTL_MOD, pipes[DISARMED][0], &again));
    check(reported() & 1u << DISARMED, "the one-shot entry cannot be armed again");
    for (int i = 0; i < COUNT; i++) must(epoll_ctl(epoll, EPOLL_CTL_DEL, pipes[i][i == OUTPUT], NULL));
    pass();
}
