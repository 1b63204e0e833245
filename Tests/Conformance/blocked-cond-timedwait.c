// Condition waits with a deadline on CLOCK_MONOTONIC: one times out, one is signalled before: futex(2).
#include "conformance.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t short_one, long_one;
static volatile int may_go;

static void *timing_out(void *unused)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 2;
    int error = 0;
    pthread_mutex_lock(&mutex);
    while (!error) error = pthread_cond_timedwait(&short_one, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    check_equal("timed wait", error, ETIMEDOUT);
    double late = now() - (double)until.tv_sec - (double)until.tv_nsec * 1e-9;
    check(late >= 0 && late < 5, "timed out %.3f s after the deadline", late);
    return NULL;
}

static void *signalled(void *unused)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 3600;
    pthread_mutex_lock(&mutex);
    while (!may_go) must_zero(pthread_cond_timedwait(&long_one, &mutex, &until));
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&short_one, &attributes);
    pthread_cond_init(&long_one, &attributes);
    pthread_t one = start_thread(timing_out, NULL), two = start_thread(signalled, NULL);
    sleep_ms(10);
    ready_and_wait();
    pthread_mutex_lock(&mutex);
    may_go = 1;
    pthread_cond_signal(&long_one);
    pthread_mutex_unlock(&mutex);
    join_thread(two);
    join_thread(one);
    pass();
}
