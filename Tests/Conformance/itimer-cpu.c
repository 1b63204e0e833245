// Interval timers on processor time go on with what was left: setitimer(2) ITIMER_VIRTUAL, ITIMER_PROF.
#include "conformance.h"

static volatile sig_atomic_t virtual_ticks, profile_ticks;
static void on_virtual(int unused) { virtual_ticks++; }
static void on_profile(int unused) { profile_ticks++; }

static void far_away(void *unused)
{
    struct itimerval v = {{30, 0}, {3000, 0}}, p = {{40, 0}, {4000, 0}}, got;
    must(setitimer(ITIMER_VIRTUAL, &v, NULL));
    must(setitimer(ITIMER_PROF, &p, NULL));
    child_ready();
    wait_go();
    must(getitimer(ITIMER_VIRTUAL, &got));
    check(got.it_value.tv_sec >= 2900 && got.it_value.tv_sec <= 3000 && got.it_interval.tv_sec == 30,
          "virtual: %ld s left, interval %ld s", got.it_value.tv_sec, got.it_interval.tv_sec);
    must(getitimer(ITIMER_PROF, &got));
    check(got.it_value.tv_sec >= 3900 && got.it_value.tv_sec <= 4000 && got.it_interval.tv_sec == 40,
          "profile: %ld s left, interval %ld s", got.it_value.tv_sec, got.it_interval.tv_sec);
}

int main(void)
{
    pid_t child = spawn(far_away, NULL);
    struct itimerval timer = {{0, 20000}, {0, 20000}};
    signal(SIGVTALRM, on_virtual);
    signal(SIGPROF, on_profile);
    must(setitimer(ITIMER_VIRTUAL, &timer, NULL));
    must(setitimer(ITIMER_PROF, &timer, NULL));
    ready_and_wait();
    int v = virtual_ticks, p = profile_ticks;
    double end = now() + 10;
    while ((virtual_ticks < v + 2 || profile_ticks < p + 2) && now() < end) {}
    check(virtual_ticks >= v + 2, "the virtual timer stands still");
    check(profile_ticks >= p + 2, "the profile timer stands still");
    join_child(child);
    pass();
}
