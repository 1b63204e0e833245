// Ping-pong between ranks 0 and 1, and an allreduce of all ranks: median microseconds. usage: pingpong
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES = 21 };

static int rank;

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void exchange(char *data, int bytes)
{
    if (rank == 0) {
        MPI_Send(data, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
        MPI_Recv(data, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else if (rank == 1) {
        MPI_Recv(data, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(data, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
    }
}

static void reduce(char *data, int bytes)
{
    MPI_Allreduce(MPI_IN_PLACE, data, bytes / 8, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

// Median of batches, microseconds of one.
static double time_of(void (*body)(char *, int), char *data, int bytes, int times)
{
    double all[BATCHES];
    for (int b = 0; b < BATCHES; b++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        for (int i = 0; i < times; i++) body(data, bytes);
        all[b] = (MPI_Wtime() - start) / times * 1e6;
    }
    qsort(all, BATCHES, sizeof *all, order);
    return all[BATCHES / 2];
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    char *data = calloc(1, 4 << 20);
    double small = time_of(exchange, data, 8, 2000) / 2;
    double large = time_of(exchange, data, 4 << 20, 10) / 2;
    double sum = time_of(reduce, data, 8, 300);
    if (rank == 0) printf("%.3f %.3f %.3f\n", small, large, sum);
    MPI_Finalize();
}
