// A computation in several threads that never rests ends with the right result: a plain numerical loop.
#include "conformance.h"

enum { THREADS = 3, ROUND = 20000 };

static double part(double x)
{
    double sum = 0;
    for (int i = 1; i <= ROUND; i++) sum += x / ((double)i * i) - (i % 2 ? 0.5 : -0.5) / (x + i);
    return sum;
}

static void *body(void *argument)
{
    double x = (double)(long)argument + 1, expected = part(x);
    long rounds = 0;
    do {
        double got = part(x);
        check(memcmp(&got, &expected, sizeof got) == 0, "round %ld: expected %.17g, got %.17g", rounds,
              expected, got);
        rounds++;
    } while (!is_go());
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) threads[i] = start_thread(body, (void *)i);
    ready_and_wait();
    for (int i = 0; i < THREADS; i++) join_thread(threads[i]);
    pass();
}
