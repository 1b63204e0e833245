// Sixteen threads keep their thread-local variables and pthread keys: pthread_create(3).
#include "conformance.h"

enum { THREADS = 16 };
static __thread long variable = -1;
static __thread char block[3000];
static pthread_key_t key;
static pthread_barrier_t barrier;

static void *body(void *argument)
{
    long i = (long)argument;
    variable = i * 1001;
    fill(block, sizeof block, (unsigned)i);
    must_zero(pthread_setspecific(key, (void *)(i * 7 + 1)));
    pthread_barrier_wait(&barrier);
    wait_go();
    check_equal("thread-local variable", variable, i * 1001);
    check_pattern("thread-local block", block, sizeof block, (unsigned)i);
    check_equal("value of the key", (long)pthread_getspecific(key), i * 7 + 1);
    return (void *)(i + 100);
}

int main(void)
{
    pthread_t threads[THREADS];
    must_zero(pthread_key_create(&key, NULL));
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) threads[i] = start_thread(body, (void *)i);
    pthread_barrier_wait(&barrier);
    ready_and_wait();
    check_equal("main thread's variable", variable, -1);
    for (long i = 0; i < THREADS; i++) {
        void *result;
        must_zero(pthread_join(threads[i], &result));
        check_equal("result of the thread", (long)result, i + 100);
    }
    pass();
}
