// A condition wait goes on until it is signalled: pthread_cond_wait(3), futex(2) FUTEX_WAIT_BITSET.
#include "conformance.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int tid;
static volatile int woken, may_go;

static void *body(void *unused)
{
    pthread_mutex_lock(&mutex);
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    while (!may_go) must_zero(pthread_cond_wait(&condition, &mutex));
    woken = 1;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(void)
{
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_futex);
    ready_and_wait();
    pthread_mutex_lock(&mutex);
    check_equal("woken before", woken, 0);
    may_go = 1;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    join_thread(thread);
    check_equal("woken", woken, 1);
    pass();
}
