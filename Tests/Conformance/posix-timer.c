// Timers of the process: ids with gaps, signal, value, interval, time left: timer_create(2).
#include "conformance.h"

static volatile sig_atomic_t ticks, value, code;
static void on_tick(int unused, siginfo_t *info, void *context)
{
    ticks++;
    value = info->si_value.sival_int;
    code = info->si_code;
}

static int create(int signal_number, int v, long first_s, long first_ns, long interval_ns)
{
    struct sigevent event = {.sigev_notify = signal_number ? SIGEV_SIGNAL : SIGEV_NONE,
                             .sigev_signo = signal_number, .sigev_value.sival_int = v};
    struct itimerspec spec = {{0, interval_ns}, {first_s, first_ns}};
    int id = -1; // the kernel's own id: the C library hides it
    must(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    must(syscall(SYS_timer_settime, id, 0, &spec, NULL));
    return id;
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerspec spec;
    must(sigaction(40, &action, NULL));
    int unused = create(0, 0, 1000, 0, 0), quiet = create(0, 0, 5000, 0, 500);
    int deleted = create(0, 0, 1000, 0, 0), ticking = create(40, 4711, 0, 20000000, 20000000);
    int disarmed = create(41, 1, 0, 0, 0);
    must(syscall(SYS_timer_delete, unused));
    must(syscall(SYS_timer_delete, deleted));
    ready_and_wait();
    int before = ticks;
    await(ticks >= before + 3, "the timer stands still");
    check_equal("value", value, 4711);
    check_equal("code", code, SI_TIMER);
    must(syscall(SYS_timer_gettime, quiet, &spec));
    check(spec.it_value.tv_sec >= 4900 && spec.it_value.tv_sec <= 5000, "%ld s left", spec.it_value.tv_sec);
    check_equal("interval", spec.it_interval.tv_nsec, 500);
    must(syscall(SYS_timer_gettime, disarmed, &spec));
    check_equal("disarmed timer", spec.it_value.tv_sec + spec.it_value.tv_nsec, 0);
    check(syscall(SYS_timer_gettime, deleted, &spec) == -1 && errno == EINVAL, "a deleted timer is there");
    check(syscall(SYS_timer_gettime, unused, &spec) == -1 && errno == EINVAL, "a deleted timer is there");
    int new = create(0, 0, 1000, 0, 0);
    check(new != quiet && new != ticking && new != disarmed, "a new timer got the id %d", new);
    must(syscall(SYS_timer_delete, ticking));
    pass();
}
