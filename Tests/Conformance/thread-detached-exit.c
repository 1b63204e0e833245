// Threads that start and end all the time while the process is checkpointed: pthread_detach(3).
#include "conformance.h"

static long started, finished;

static void *body(void *argument)
{
    volatile long x = (long)argument;
    for (int i = 0; i < 1000; i++) x += i;
    check_equal("sum in the thread", x, (long)argument + 499500);
    __atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

int main(void)
{
    ready();
    while (!is_go()) {
        pthread_t thread = start_thread(body, (void *)started);
        must_zero(pthread_detach(thread));
        started++;
        if (started % 8 == 0) sleep_ms(1);
    }
    await(__atomic_load_n(&finished, __ATOMIC_SEQ_CST) == started, "%ld of %ld threads finished",
          finished, started);
    pass();
}
