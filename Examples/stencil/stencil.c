/*
 * A two-dimensional heat equation on a grid that is spread over all ranks.
 *
 * Every step relaxes the grid once (Jacobi), exchanges the halo with the four neighbours and
 * agrees on the residual with MPI_Allreduce. Two properties make it a good witness for a
 * checkpoint:
 *
 *   - The residual is a maximum and the checksum a sum of bit patterns modulo 2^64. Both are
 *     exact whatever the order of the reduction, so the output does not depend on the number of
 *     ranks, on the MPI library or on its network: one wrong bit anywhere is a different line.
 *   - Rows of more than 512 points exceed the eager limit of the shared-memory transports, so a
 *     run has both small messages (the reductions) and rendezvous messages (the rows) in flight.
 *
 * usage: stencil GRID STEPS
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    int rows, columns;      /* points of this rank, without the halo */
    int first_row, first_column;
    int width;              /* columns + 2: the distance of two rows in memory */
    double *now, *next;
};

static double *at(const struct block *block, double *field, int row, int column)
{
    return field + (size_t)row * (size_t)block->width + (size_t)column;
}

/* Part `index` of `total` points in `parts` pieces: the first pieces take the remainder. */
static void slice(int total, int parts, int index, int *first, int *count)
{
    int base = total / parts, extra = total % parts;
    *first = index * base + (index < extra ? index : extra);
    *count = base + (index < extra);
}

/* A start that is a function of the place alone, so every decomposition starts equally. */
static double initial(int row, int column)
{
    uint64_t x = (uint64_t)row * 0x9E3779B97F4A7C15u + (uint64_t)column * 0xC2B2AE3D27D4EB4Fu;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 32;
    return (double)(x >> 11) * 0x1p-53;
}

static void fill(struct block *block, int grid)
{
    for (int row = 0; row < block->rows + 2; row++)
        for (int column = 0; column < block->columns + 2; column++) {
            int y = block->first_row + row - 1, x = block->first_column + column - 1;
            int inside = y >= 0 && y < grid && x >= 0 && x < grid;
            double value = inside ? initial(y, x) : (y < 0 ? 1.0 : 0.0);
            *at(block, block->now, row, column) = value;
            *at(block, block->next, row, column) = value;
        }
}

static void exchange(struct block *block, MPI_Comm grid, MPI_Datatype column_type)
{
    int up, down, left, right, n = 0;
    MPI_Request request[8];
    double *field = block->now;

    MPI_Cart_shift(grid, 0, 1, &up, &down);
    MPI_Cart_shift(grid, 1, 1, &left, &right);
    MPI_Irecv(at(block, field, 0, 1), block->columns, MPI_DOUBLE, up, 1, grid, &request[n++]);
    MPI_Irecv(at(block, field, block->rows + 1, 1), block->columns, MPI_DOUBLE, down, 2, grid,
              &request[n++]);
    MPI_Irecv(at(block, field, 1, 0), 1, column_type, left, 3, grid, &request[n++]);
    MPI_Irecv(at(block, field, 1, block->columns + 1), 1, column_type, right, 4, grid,
              &request[n++]);
    MPI_Isend(at(block, field, block->rows, 1), block->columns, MPI_DOUBLE, down, 1, grid,
              &request[n++]);
    MPI_Isend(at(block, field, 1, 1), block->columns, MPI_DOUBLE, up, 2, grid, &request[n++]);
    MPI_Isend(at(block, field, 1, block->columns), 1, column_type, right, 3, grid, &request[n++]);
    MPI_Isend(at(block, field, 1, 1), 1, column_type, left, 4, grid, &request[n++]);
    MPI_Waitall(n, request, MPI_STATUSES_IGNORE);
}

/* One relaxation; returns the largest change. No fused operations (see Makefile): the same bits
   on every machine. */
static double relax(struct block *block)
{
    double largest = 0;
    for (int row = 1; row <= block->rows; row++) {
        const double *above = at(block, block->now, row - 1, 0);
        const double *here = at(block, block->now, row, 0);
        const double *below = at(block, block->now, row + 1, 0);
        double *out = at(block, block->next, row, 0);
        for (int column = 1; column <= block->columns; column++) {
            double value = 0.25 * ((above[column] + below[column])
                                   + (here[column - 1] + here[column + 1]));
            double change = value - here[column];
            if (change < 0)
                change = -change;
            if (change > largest)
                largest = change;
            out[column] = value;
        }
    }
    double *swap = block->now;
    block->now = block->next;
    block->next = swap;
    return largest;
}

static uint64_t checksum(const struct block *block)
{
    uint64_t sum = 0;
    for (int row = 1; row <= block->rows; row++)
        for (int column = 1; column <= block->columns; column++) {
            uint64_t bits;
            memcpy(&bits, at(block, block->now, row, column), sizeof bits);
            sum += bits * (uint64_t)(2 * (block->first_row + row) + 1);
        }
    return sum;
}

int main(int argc, char **argv)
{
    int rank, ranks, shape[2] = {0, 0}, periodic[2] = {0, 0}, place[2];
    struct block block;
    MPI_Comm grid;
    MPI_Datatype column_type;

    MPI_Init(&argc, &argv);
    int points = argc > 1 ? atoi(argv[1]) : 512;
    int steps = argc > 2 ? atoi(argv[2]) : 100;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Dims_create(ranks, 2, shape);
    MPI_Cart_create(MPI_COMM_WORLD, 2, shape, periodic, 1, &grid);
    MPI_Comm_rank(grid, &rank);
    MPI_Cart_coords(grid, rank, 2, place);
    if (points < shape[0] || points < shape[1] || steps < 1) {
        if (rank == 0)
            fprintf(stderr, "usage: stencil GRID STEPS\n");
        MPI_Abort(MPI_COMM_WORLD, 64);
    }

    slice(points, shape[0], place[0], &block.first_row, &block.rows);
    slice(points, shape[1], place[1], &block.first_column, &block.columns);
    block.width = block.columns + 2;
    size_t bytes = (size_t)(block.rows + 2) * (size_t)block.width * sizeof(double);
    block.now = malloc(bytes);
    block.next = malloc(bytes);
    if (!block.now || !block.next)
        MPI_Abort(MPI_COMM_WORLD, 70);
    MPI_Type_vector(block.rows, 1, block.width, MPI_DOUBLE, &column_type);
    MPI_Type_commit(&column_type);
    fill(&block, points);

    if (rank == 0)
        printf("grid %d steps %d\n", points, steps);
    for (int step = 1; step <= steps; step++) {
        double mine, residual;
        exchange(&block, grid, column_type);
        mine = relax(&block);
        MPI_Allreduce(&mine, &residual, 1, MPI_DOUBLE, MPI_MAX, grid);
        if (rank == 0) {
            printf("step %d residual %.17g\n", step, residual);
            fflush(stdout);
        }
    }

    uint64_t mine = checksum(&block), sum = 0;
    MPI_Reduce(&mine, &sum, 1, MPI_UINT64_T, MPI_SUM, 0, grid);
    if (rank == 0)
        printf("checksum %016llx\n", (unsigned long long)sum);
    MPI_Type_free(&column_type);
    MPI_Finalize();
    free(block.now);
    free(block.next);
    return 0;
}
