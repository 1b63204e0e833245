/*
 * A statically linked program: no loader, no library to preload, nothing to interpose.
 *
 * Threads on a barrier, an interval timer with a signal handler, a file written at an offset, a
 * private mapping of it, brk and mmap memory that grows and shrinks, and a pipe between two
 * threads. The handler only counts; everything that is printed is a function of the round.
 *
 * usage: selfcheck ROUNDS      (writes state.bin into the working directory)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 3, SLOTS = 256 };

static pthread_barrier_t start_line, finish_line;
static uint64_t part[THREADS];
static volatile sig_atomic_t ticks;
static int rounds, tube[2];

static void fail(const char *what)
{
    printf("FAIL: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static void on_tick(int number)
{
    (void)number;
    ticks++;
}

/* Fills, checks and replaces a set of blocks: some from brk, some from mmap, some grow in place. */
static void *churn(void *argument)
{
    int index = (int)(intptr_t)argument;
    uint64_t *slot[SLOTS] = {0}, state = (uint64_t)index;
    size_t words[SLOTS] = {0};
    for (int round = 1; round <= rounds; round++) {
        pthread_barrier_wait(&start_line);
        for (int k = 0; k < 40; k++) {
            uint64_t draw = mix(state + (uint64_t)k);
            int i = (int)(draw % SLOTS);
            for (size_t w = 0; w < words[i]; w++)
                if (slot[i][w] != mix((uint64_t)i + w))
                    fail("a block changed");
            words[i] = 8 + (draw >> 20) % 40000;
            slot[i] = realloc(slot[i], words[i] * sizeof **slot);
            if (!slot[i])
                fail("realloc");
            for (size_t w = 0; w < words[i]; w++)
                slot[i][w] = mix((uint64_t)i + w);
            state = mix(state + slot[i][words[i] / 2]);
        }
        part[index] = state;
        pthread_barrier_wait(&finish_line);
    }
    return NULL;
}

/* Half of what goes into the pipe is still in it whenever the main thread prints. */
static void *feed(void *argument)
{
    (void)argument;
    for (uint64_t i = 1; i <= (uint64_t)rounds * 64; i++)
        while (write(tube[1], &i, sizeof i) != sizeof i)
            if (errno != EINTR)
                fail("write to the pipe");
    return NULL;
}

static uint64_t drink(void)
{
    static uint64_t expected = 1;
    uint64_t value, sum = 0;
    for (int i = 0; i < 64; i++) {
        while (read(tube[0], &value, sizeof value) != sizeof value)
            if (errno != EINTR)
                fail("read from the pipe");
        if (value != expected++)
            fail("the pipe lost or doubled a value");
        sum += value;
    }
    return sum;
}

/* Appends at an offset and compares an older record through a private mapping. */
static uint64_t file_round(int file, int round, uint64_t state)
{
    uint64_t record[64], older = 0;
    for (int i = 0; i < 64; i++)
        record[i] = mix(state + (uint64_t)i);
    if (write(file, record, sizeof record) != sizeof record)
        fail("write to the file");
    off_t page = (off_t)(mix((uint64_t)round) % (uint64_t)round) * (off_t)sizeof record;
    off_t aligned = page & ~(off_t)4095;
    uint64_t *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, aligned);
    if (map == MAP_FAILED)
        fail("mmap of the file");
    older = map[(page - aligned) / 8];
    map[(page - aligned) / 8] = 0;
    munmap(map, 8192);
    return older;
}

int main(int argc, char **argv)
{
    rounds = argc > 1 ? atoi(argv[1]) : 100;
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 2000}, {0, 2000}};
    pthread_t thread[THREADS], feeder;
    uint64_t state = 0;
    int file = open("state.bin", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || pipe(tube) || sigaction(SIGALRM, &action, NULL))
        fail("set-up");
    pthread_barrier_init(&start_line, NULL, THREADS + 1);
    pthread_barrier_init(&finish_line, NULL, THREADS + 1);
    for (intptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, churn, (void *)i))
            fail("pthread_create");
    if (pthread_create(&feeder, NULL, feed, NULL) || setitimer(ITIMER_REAL, &every, NULL))
        fail("set-up");
    for (int round = 1; round <= rounds; round++) {
        pthread_barrier_wait(&start_line);
        uint64_t drunk = drink();
        pthread_barrier_wait(&finish_line);
        for (int i = 0; i < THREADS; i++)
            state = mix(state + part[i]);
        uint64_t older = file_round(file, round, state);
        state = mix(state + older + drunk);
        printf("round %d state %016llx older %016llx\n", round, (unsigned long long)state,
               (unsigned long long)older);
        fflush(stdout);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    pthread_join(feeder, NULL);
    if (ticks == 0)
        fail("the timer never fired");
    printf("done\n");
    return 0;
}
