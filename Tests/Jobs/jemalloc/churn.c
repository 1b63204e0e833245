/*
 * Allocates and frees hard under whatever malloc is preloaded, and checks what it gets.
 *
 * jemalloc purges free pages with MADV_DONTNEED or MADV_FREE and later hands them out as fresh
 * memory; calloc of a large block trusts them to be zero. A restart that maps the image file
 * instead of making anonymous memory breaks exactly that, silently. Here it is not silent.
 *
 * usage: churn ROUNDS
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, SLOTS = 512 };

static pthread_barrier_t start_line, finish_line;
static uint64_t part[THREADS];
static int rounds;

struct block {
    uint64_t *words;
    size_t count;
    uint64_t seed;
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static void fail(const char *what, int thread, int slot)
{
    printf("FAIL: %s (thread %d, slot %d)\n", what, thread, slot);
    fflush(stdout);
    _Exit(1);
}

static void give_back(struct block *block, int thread, int slot)
{
    for (size_t i = 0; i < block->count; i++)
        if (block->words[i] != block->seed + i)
            fail("a block changed", thread, slot);
    free(block->words);
    block->words = NULL;
    block->count = 0;
}

static void take(struct block *block, uint64_t draw, int thread, int slot)
{
    /* Mostly small, sometimes some hundred pages: those are purged when they become free. */
    size_t limit = draw % 16 == 0 ? 200000 : draw % 4 == 0 ? 4000 : 100;
    block->count = 1 + (draw >> 8) % limit;
    block->seed = mix(draw);
    block->words = calloc(block->count, sizeof *block->words);
    if (!block->words)
        fail("calloc", thread, slot);
    for (size_t i = 0; i < block->count; i++)
        if (block->words[i] != 0)
            fail("calloc returned memory that is not zero", thread, slot);
    for (size_t i = 0; i < block->count; i++)
        block->words[i] = block->seed + i;
}

static void *churn(void *argument)
{
    int thread = (int)(intptr_t)argument;
    struct block *slots = calloc(SLOTS, sizeof *slots);
    uint64_t state = mix((uint64_t)thread + 1);
    if (!slots)
        fail("calloc", thread, -1);
    for (int round = 1; round <= rounds; round++) {
        pthread_barrier_wait(&start_line);
        for (int k = 0; k < 60; k++) {
            uint64_t draw = mix(state + (uint64_t)k);
            int slot = (int)(draw % SLOTS);
            if (slots[slot].words)
                give_back(&slots[slot], thread, slot);
            take(&slots[slot], mix(draw), thread, slot);
            state = mix(state + slots[slot].words[slots[slot].count / 2]);
        }
        /* Every 25 rounds all but a few blocks go at once: a wave of purging. */
        if (round % 25 == thread)
            for (int slot = 8; slot < SLOTS; slot++)
                if (slots[slot].words)
                    give_back(&slots[slot], thread, slot);
        part[thread] = state;
        pthread_barrier_wait(&finish_line);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS];
    uint64_t state = 0;
    rounds = argc > 1 ? atoi(argv[1]) : 100;
    pthread_barrier_init(&start_line, NULL, THREADS + 1);
    pthread_barrier_init(&finish_line, NULL, THREADS + 1);
    for (intptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, churn, (void *)i))
            fail("pthread_create", (int)i, -1);
    for (int round = 1; round <= rounds; round++) {
        pthread_barrier_wait(&start_line);
        pthread_barrier_wait(&finish_line);
        for (int i = 0; i < THREADS; i++)
            state = mix(state + part[i]);
        printf("round %d state %016llx\n", round, (unsigned long long)state);
        fflush(stdout);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    printf("done\n");
    return 0;
}
