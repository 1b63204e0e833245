// A raw futex wait with a relative timeout: futex(2) FUTEX_WAIT, which the kernel restarts by itself.
#include "conformance.h"
#include <linux/futex.h>

static int expiring, woken;

static void *until_timeout(void *unused)
{
    struct timespec two = {2, 0};
    double start = now();
    long result = syscall(SYS_futex, &expiring, FUTEX_WAIT_PRIVATE, 0, &two, NULL, 0);
    double took = now() - start;
    check(result == -1 && errno == ETIMEDOUT, "futex: %ld %s", result, strerror(errno));
    check(took >= 2 && took < 7, "a wait of 2 s took %.3f s", took);
    return NULL;
}

static void *until_woken(void *unused)
{
    struct timespec hour = {3600, 0};
    long result = syscall(SYS_futex, &woken, FUTEX_WAIT_PRIVATE, 0, &hour, NULL, 0);
    check(result == 0 || errno == EAGAIN, "futex: %ld %s", result, strerror(errno));
    check_equal("futex word", woken, 1);
    return NULL;
}

int main(void)
{
    pthread_t one = start_thread(until_timeout, NULL), two = start_thread(until_woken, NULL);
    sleep_ms(20);
    ready_and_wait();
    __atomic_store_n(&woken, 1, __ATOMIC_SEQ_CST);
    // Just after a restart the thread may be on its way back into the wait: it sees the new value.
    must(syscall(SYS_futex, &woken, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
    join_thread(two);
    join_thread(one);
    pass();
}
