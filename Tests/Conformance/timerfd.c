// Descriptors for timers: periodic, one-shot, expired and unread, disarmed: timerfd_create(2).
#include "conformance.h"
#include <sys/timerfd.h>

static int timer(int clock, long first_ms, long interval_ms)
{
    int fd = must(timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC));
    struct itimerspec spec = {{interval_ms / 1000, interval_ms % 1000 * 1000000},
                              {first_ms / 1000, first_ms % 1000 * 1000000}};
    must(timerfd_settime(fd, 0, &spec, NULL));
    return fd;
}

static uint64_t expirations(int fd)
{
    uint64_t count = 0;
    if (read(fd, &count, sizeof count) < 0) check(errno == EAGAIN, "read: %s", strerror(errno));
    return count;
}

int main(void)
{
    int periodic = timer(CLOCK_MONOTONIC, 20, 20), expired = timer(CLOCK_MONOTONIC, 1, 0);
    int far = timer(CLOCK_MONOTONIC, 5000000, 7000), disarmed = timer(CLOCK_MONOTONIC, 0, 0);
    int boot = timer(CLOCK_BOOTTIME, 5000000, 0);
    double start = now();
    int one_shot = timer(CLOCK_MONOTONIC, 2000, 0);
    sleep_ms(70); // three expirations of the periodic one
    ready_and_wait();
    struct itimerspec spec;
    uint64_t count = expirations(periodic);
    check(count >= 3 && count < 10000, "periodic: %lu expirations", count);
    await(expirations(periodic) > 0, "the periodic timer stands still");
    check_equal("expired and unread", expirations(expired), 1);
    check_equal("disarmed", expirations(disarmed), 0);
    must(timerfd_gettime(far, &spec));
    check(spec.it_value.tv_sec > 4990 && spec.it_value.tv_sec <= 5000, "far: %ld s left", spec.it_value.tv_sec);
    check_equal("interval", spec.it_interval.tv_sec, 7);
    must(timerfd_gettime(boot, &spec));
    check(spec.it_value.tv_sec > 4900 && spec.it_value.tv_sec <= 5000, "boot: %ld s left", spec.it_value.tv_sec);
    must(timerfd_gettime(disarmed, &spec));
    check_equal("disarmed: time left", spec.it_value.tv_sec + spec.it_value.tv_nsec, 0);
    struct pollfd p = {.fd = one_shot, .events = POLLIN};
    check_equal("poll of the one-shot timer", poll(&p, 1, 10000), 1);
    double took = now() - start;
    check(took >= 2, "the one-shot timer of 2 s expired after %.3f s", took);
    check_equal("one-shot", expirations(one_shot), 1);
    pass();
}
