// Soft and hard limits of all resources: getrlimit(2).
#include "conformance.h"

int main(void)
{
    struct rlimit before[RLIM_NLIMITS], got;
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        must(getrlimit((__rlimit_resource_t)i, &before[i]));
        rlim_t sensible = i == RLIMIT_CPU ? 100000 : i == RLIMIT_NOFILE ? 4096 : i == RLIMIT_RTTIME ? 5000000
                        : i == RLIMIT_NICE || i == RLIMIT_RTPRIO ? 10 : i == RLIMIT_STACK ? 64 << 20
                        : i == RLIMIT_NPROC || i == RLIMIT_SIGPENDING ? 20000 : 1ul << 40;
        if (before[i].rlim_max > sensible) before[i].rlim_max = sensible + (rlim_t)i;
        if (before[i].rlim_cur > before[i].rlim_max) before[i].rlim_cur = before[i].rlim_max;
        if (before[i].rlim_cur == before[i].rlim_max) before[i].rlim_cur -= before[i].rlim_cur / 10;
        must(setrlimit((__rlimit_resource_t)i, &before[i]));
    }
    ready_and_wait();
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        must(getrlimit((__rlimit_resource_t)i, &got));
        check(got.rlim_cur == before[i].rlim_cur && got.rlim_max == before[i].rlim_max,
              "limit %d: expected %lu %lu, got %lu %lu", i, before[i].rlim_cur, before[i].rlim_max,
              got.rlim_cur, got.rlim_max);
    }
    pass();
}
