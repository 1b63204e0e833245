// Interval timers of the process on real time: setitimer(2) ITIMER_REAL, alarm(2).
#include "conformance.h"

static volatile sig_atomic_t ticks;
static void on_alarm(int unused) { ticks++; }

static void body(void *unused)
{
    double start = now();
    signal(SIGALRM, on_alarm);
    alarm(2);
    child_ready();
    while (!ticks) {
        if (getppid() != parent_pid) _exit(1);
        sleep_ms(2);
    }
    double took = now() - start;
    check(took >= 1.9 && took < 12, "an alarm of 2 s came after %.3f s", took);
    sleep_ms(50);
    check_equal("alarms", ticks, 1);
}

int main(void)
{
    pid_t child = spawn(body, NULL);
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 20000}, {0, 20000}}, got;
    must(sigaction(SIGALRM, &action, NULL));
    must(setitimer(ITIMER_REAL, &timer, NULL));
    ready_and_wait();
    int before = ticks;
    await(ticks >= before + 3, "the interval timer stands still");
    must(getitimer(ITIMER_REAL, &got));
    check_equal("interval", got.it_interval.tv_usec, 20000);
    join_child(child);
    pass();
}
