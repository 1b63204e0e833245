// A poll with a long timeout goes on until its descriptor is ready, and tells which: poll(2).
#include "conformance.h"

static int a[2], b[2], tid;
static volatile int returned;

static void *body(void *unused)
{
    struct pollfd fds[2] = {{.fd = a[0], .events = POLLIN}, {.fd = b[0], .events = POLLIN | POLLPRI}};
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int n = poll(fds, 2, 600000);
    returned = 1;
    check(n == 1, "poll: %d %s", n, n < 0 ? strerror(errno) : "");
    check_equal("events of the first", fds[0].revents, 0);
    check_equal("events of the second", fds[1].revents, POLLIN);
    return NULL;
}

int main(void)
{
    must(pipe(a));
    must(pipe(b));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_poll);
    ready_and_wait();
    check_equal("poll has returned", returned, 0);
    must(write(b[1], "x", 1));
    join_thread(thread);
    pass();
}
