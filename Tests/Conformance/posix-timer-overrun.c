// A timer whose signal is blocked and pending: it is delivered, overruns are counted: timer_getoverrun(2).
#include "conformance.h"

int main(void)
{
    sigset_t mask;
    siginfo_t info;
    timer_t timer;
    sigemptyset(&mask);
    sigaddset(&mask, 43);
    must(sigprocmask(SIG_BLOCK, &mask, NULL));
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 43, .sigev_value.sival_int = 88};
    must(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec spec = {{0, 2000000}, {0, 2000000}};
    must(timer_settime(timer, 0, &spec, NULL));
    sleep_ms(50);
    ready_and_wait();
    struct timespec second = {5, 0};
    check_equal("pending signal", sigtimedwait(&mask, &info, &second), 43);
    check_equal("value", info.si_value.sival_int, 88);
    check_equal("code", info.si_code, SI_TIMER);
    sleep_ms(50);
    check_equal("next signal", sigtimedwait(&mask, &info, &second), 43);
    check_equal("value", info.si_value.sival_int, 88);
    int overrun = must(timer_getoverrun(timer));
    check(overrun > 0, "overruns of a timer of 2 ms: %d", overrun);
    must(timer_delete(timer));
    await(sigtimedwait(&mask, &info, &(struct timespec){0, 20000000}) == -1, "signals after the deletion");
    pass();
}
