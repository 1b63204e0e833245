// Timers set to a moment of CLOCK_MONOTONIC: timerfd_settime(2) TFD_TIMER_ABSTIME; a blocked reader.
#include "conformance.h"
#include <sys/timerfd.h>

int main(void)
{
    int fd = must(timerfd_create(CLOCK_MONOTONIC, 0));
    struct itimerspec spec = {{0, 0}, {0, 0}};
    must(clock_gettime(CLOCK_MONOTONIC, &spec.it_value));
    spec.it_value.tv_sec += 2;
    double end = (double)spec.it_value.tv_sec + (double)spec.it_value.tv_nsec * 1e-9;
    must(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
    ready();
    uint64_t count = 0;
    ssize_t n = read(fd, &count, sizeof count);
    check(n == 8, "read: %zd %s", n, n < 0 ? strerror(errno) : "");
    double late = now() - end;
    check_equal("expirations", count, 1);
    check(late >= 0 && late < 5, "woken %.3f s after the moment", late);
    wait_go();
    pass();
}
