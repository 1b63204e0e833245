/*
 * Diffusion on a ring that is spread over all PEs, without a call of MPI: OpenSHMEM 1.4.
 *
 * Every step puts both border cells into the neighbours' memory, counts itself there with an atomic,
 * waits until both neighbours have, relaxes its cells (integers: the same bits on every machine) and
 * adds up a checksum over all PEs. A lost, doubled or late put or atomic is another line, or no line
 * any more.
 *
 * usage: diffusion CELLS-PER-PE STEPS
 */
#include <shmem.h>
#include <stdio.h>
#include <stdlib.h>

static long long sum, total, arrived[2];
static long long work[SHMEM_REDUCE_MIN_WRKDATA_SIZE + 1];
static long synchronize[2][SHMEM_REDUCE_SYNC_SIZE];

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: diffusion CELLS-PER-PE STEPS\n"), 64;
    long long cells = atoll(argv[1]), steps = atoll(argv[2]);
    shmem_init();
    int me = shmem_my_pe(), all = shmem_n_pes();
    int left = (me + all - 1) % all, right = (me + 1) % all;
    for (int i = 0; i < SHMEM_REDUCE_SYNC_SIZE; i++) synchronize[0][i] = synchronize[1][i] = SHMEM_SYNC_VALUE;
    /* Borders come twice, for even and odd steps: a neighbour may be one step ahead. */
    long long *borders = shmem_malloc(4 * sizeof *borders);
    long long *now = calloc(cells + 2, sizeof *now), *next = calloc(cells + 2, sizeof *next);
    for (long long i = 1; i <= cells; i++) now[i] = (me * cells + i) * 2654435761 % 1000003;
    shmem_barrier_all();
    for (long long step = 1; step <= steps; step++) {
        long long *here = borders + 2 * (step % 2);
        shmem_longlong_put(here + 1, now + 1, 1, left);
        shmem_longlong_put(here + 0, now + cells, 1, right);
        shmem_fence();
        shmem_longlong_atomic_inc(&arrived[1], left);
        shmem_longlong_atomic_inc(&arrived[0], right);
        shmem_longlong_wait_until(&arrived[0], SHMEM_CMP_GE, step);
        shmem_longlong_wait_until(&arrived[1], SHMEM_CMP_GE, step);
        now[0] = here[0], now[cells + 1] = here[1];
        sum = 0;
        for (long long i = 1; i <= cells; i++) {
            next[i] = (now[i - 1] + 2 * now[i] + now[i + 1] + step) / 4;
            sum = (sum * 31 + next[i]) % 1000000007;
        }
        long long *swap = now;
        now = next, next = swap;
        shmem_longlong_sum_to_all(&total, &sum, 1, 0, 0, all, work, synchronize[step % 2]);
        if (me == 0) printf("step %lld checksum %lld\n", step, total), fflush(stdout);
    }
    shmem_barrier_all();
    shmem_finalize();
    return 0;
}
