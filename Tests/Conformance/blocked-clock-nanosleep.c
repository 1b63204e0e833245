// A sleep until a moment of CLOCK_MONOTONIC ends at that moment: clock_nanosleep(2) TIMER_ABSTIME.
#include "conformance.h"

static void *body(void *unused)
{
    struct timespec until;
    must(clock_gettime(CLOCK_MONOTONIC, &until));
    until.tv_sec += 2;
    double end = (double)until.tv_sec + (double)until.tv_nsec * 1e-9;
    int error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    check(error == 0, "clock_nanosleep: %s", strerror(error));
    double late = now() - end;
    check(late >= 0 && late < 5, "woken %.3f s after the moment", late);
    return NULL;
}

int main(void)
{
    pthread_t thread = start_thread(body, NULL);
    sleep_ms(10);
    ready_and_wait();
    join_thread(thread);
    pass();
}
