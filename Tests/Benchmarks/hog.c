// SPDX-License-Identifier: Apache-2.0
// A process of a given size for the benchmarks: fills SIZE MiB with random bytes, prints what a bare
// fork() of itself costs, then says "tick <CLOCK_REALTIME ns>" every millisecond or so, reading one
// page each time, until the file named by HOG_END exists. At the end: the longest gap between two
// ticks as the program itself saw it (CLOCK_MONOTONIC), and a checksum of its memory.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    size_t words = (size_t)(argc > 1 ? atoi(argv[1]) : 1) << 17;
    uint64_t *memory = mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    madvise(memory, words * 8, MADV_NOHUGEPAGE);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < words; i++) {
        x ^= x << 13; x ^= x >> 7; x ^= x << 17;
        memory[i] = x;
    }
    int64_t best = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        int64_t before = now(CLOCK_MONOTONIC);
        pid_t child = fork();
        if (child == 0) _exit(0);
        int64_t took = now(CLOCK_MONOTONIC) - before;
        waitpid(child, NULL, 0);
        if (took < best) best = took;
    }
    printf("fork %lld\nready\n", (long long)best);
    fflush(stdout);
    const char *end = getenv("HOG_END");
    int64_t last = now(CLOCK_MONOTONIC), longest = 0;
    volatile uint64_t sink = 0;
    for (size_t i = 0; access(end ? end : "/nonexistent", F_OK) != 0; i += 512) {
        sink += memory[i % words];
        int64_t t = now(CLOCK_MONOTONIC);
        if (t - last > longest) longest = t - last;
        last = t;
        printf("tick %lld\n", (long long)now(CLOCK_REALTIME));
        fflush(stdout);
        usleep(1000);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++) sum = sum * 31 + memory[i];
    printf("gap %lld\nsum %llu\n", (long long)longest, (unsigned long long)sum);
    return 0;
}
