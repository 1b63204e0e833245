// Every thread has a signal mask of its own: pthread_sigmask(3).
#include "conformance.h"

enum { THREADS = 5 };
static pthread_barrier_t barrier;

static void make_mask(sigset_t *set, int i)
{
    sigemptyset(set);
    for (int s = 1; s <= 64; s++)
        if (s != SIGKILL && s != SIGSTOP && s != 32 && s != 33 && (s * 7 + i * 3) % 5 < 2)
            sigaddset(set, s);
}

static void hold(int i)
{
    sigset_t mask, after;
    make_mask(&mask, i);
    must_zero(pthread_sigmask(SIG_SETMASK, &mask, NULL));
    pthread_barrier_wait(&barrier);
    if (i == THREADS) ready();
    wait_go();
    must_zero(pthread_sigmask(SIG_SETMASK, NULL, &after));
    for (int s = 1; s <= 64; s++)
        check(sigismember(&mask, s) == sigismember(&after, s), "thread %d: signal %d: blocked %d, was %d",
              i, s, sigismember(&after, s), sigismember(&mask, s));
}

static void *body(void *argument)
{
    hold((int)(long)argument);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) threads[i] = start_thread(body, (void *)i);
    hold(THREADS);
    for (int i = 0; i < THREADS; i++) join_thread(threads[i]);
    pass();
}
