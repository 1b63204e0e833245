// The monotonic clocks never go back and never jump far, watched all the time: clock_gettime(2).
#include "conformance.h"

static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
                                   CLOCK_MONOTONIC_COARSE};
enum { COUNT = sizeof clocks / sizeof *clocks };

static double get(clockid_t clock, int raw)
{
    struct timespec t;
    must(raw ? (int)syscall(SYS_clock_gettime, clock, &t) : clock_gettime(clock, &t));
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(void)
{
    double last[COUNT];
    for (int i = 0; i < COUNT; i++) last[i] = get(clocks[i], 0);
    ready();
    for (int rounds_after = 0; rounds_after < 20; rounds_after += is_go()) {
        for (int i = 0; i < COUNT; i++) {
            double t = get(clocks[i], 0), system_call = get(clocks[i], 1);
            check(t >= last[i], "clock %d went back by %.6f s", clocks[i], last[i] - t);
            check(system_call >= t, "clock %d: the vDSO is ahead of the kernel by %.6f s", clocks[i],
                  t - system_call);
            // A machine under load may sleep for long, a lost offset is far more.
            check(t - last[i] < 60, "clock %d jumped by %.3f s", clocks[i], t - last[i]);
            check(system_call - t < 30, "clock %d: vDSO %.3f, system call %.3f", clocks[i], t, system_call);
            last[i] = system_call;
        }
        sleep_ms(2);
    }
    pass();
}
