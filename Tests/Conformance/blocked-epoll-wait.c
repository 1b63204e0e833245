// An epoll_wait goes on waiting and never returns EINTR by itself: epoll_wait(2).
#include "conformance.h"
#include <sys/epoll.h>

static int epoll, p[2], tid;
static volatile int returned;

static void *body(void *unused)
{
    struct epoll_event event;
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int n = epoll_wait(epoll, &event, 1, -1);
    returned = 1;
    check(n == 1, "epoll_wait: %d %s", n, n < 0 ? strerror(errno) : "");
    check(event.data.u64 == 0xfeedfacecafe, "another event: 0x%llx", (long long)event.data.u64);
    return NULL;
}

int main(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0xfeedfacecafe};
    must(pipe(p));
    epoll = must(epoll_create1(0));
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &event));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_epoll_wait);
    ready_and_wait();
    check_equal("epoll_wait has returned", returned, 0);
    must(write(p[1], "x", 1));
    join_thread(thread);
    pass();
}
