/*
 * OpenMP without MPI: parallel loops, tasks, an ordered section and a reduction per round.
 *
 * The team sleeps and spins in libgomp's futexes between the constructs, which is the state a
 * checkpoint has to bring back. All arithmetic is on unsigned integers, so the line of a round is
 * the same in every schedule.
 *
 * usage: tasks ROUNDS
 */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 1 << 20 };

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* A tree of tasks: each node waits for its two children. */
static uint64_t tree(unsigned depth, uint64_t seed)
{
    uint64_t left, right;
    if (depth == 0)
        return mix(seed);
#pragma omp task shared(left)
    left = tree(depth - 1, 2 * seed + 1);
#pragma omp task shared(right)
    right = tree(depth - 1, 2 * seed + 2);
#pragma omp taskwait
    return mix(left * 3 + right);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 100;
    uint64_t *field = malloc(POINTS * sizeof *field), running = 0;
    if (!field)
        return 70;
    for (uint64_t i = 0; i < POINTS; i++)
        field[i] = mix(i);

    for (int round = 1; round <= rounds; round++) {
        uint64_t sum = 0, order = 0, leaves = 0;
#pragma omp parallel
        {
#pragma omp for schedule(dynamic, 4096) reduction(+ : sum)
            for (int i = 0; i < POINTS; i++) {
                field[i] = mix(field[i] + (uint64_t)round);
                sum += field[i];
            }
#pragma omp for ordered schedule(static, 1)
            for (int i = 0; i < 64; i++) {
                uint64_t part = mix(field[i * 1000]);
#pragma omp ordered
                order = mix(order ^ part);
            }
#pragma omp single
            leaves = tree(9, (uint64_t)round);
        }
        running = mix(running + sum + order + leaves);
        printf("round %d sum %016llx order %016llx tasks %016llx all %016llx\n", round,
               (unsigned long long)sum, (unsigned long long)order, (unsigned long long)leaves,
               (unsigned long long)running);
        fflush(stdout);
    }
    printf("done\n");
    free(field);
    return 0;
}
