// Right after the restart: new threads, with stacks from the cache and new ones: pthread_create(3).
#include "conformance.h"

static __thread int variable = 5;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long sum;

static void *body(void *argument)
{
    check_equal("thread-local variable", variable, 5);
    variable = 6;
    char *data = malloc(100000);
    fill(data, 100000, 1);
    check_pattern("malloc in the thread", data, 100000, 1);
    free(data);
    pthread_mutex_lock(&mutex);
    sum += (long)argument;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(void)
{
    pthread_t threads[32];
    join_thread(start_thread(body, (void *)1000)); // leaves its stack in the cache
    ready_and_wait();
    for (long i = 0; i < 32; i++) threads[i] = start_thread(body, (void *)i);
    for (int i = 0; i < 32; i++) join_thread(threads[i]);
    check_equal("sum", sum, 1000 + 31 * 16);
    check_equal("main thread's variable", variable, 5);
    pass();
}
