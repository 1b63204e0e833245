// A process that ends the moment its first thread goes on, while the others are not all let go yet:
// clock_nanosleep(2) until a time that has passed by then.
#include "conformance.h"

enum { THREADS = 250 };

static void *body(void *unused)
{
    while (pause() < 0) {}
    return unused;
}

int main(void)
{
    for (int i = 0; i < THREADS; i++) start_thread(body, NULL);
    struct timespec until;
    ready();
    do {
        must(clock_gettime(CLOCK_REALTIME, &until));
        until.tv_nsec += 10 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
    } while (!is_go());
    pass();
}
