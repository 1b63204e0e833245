// A thread blocked on a mutex with priority inheritance gets it from its owner: futex(2) FUTEX_LOCK_PI.
#include "conformance.h"

static pthread_mutex_t mutex;
static int owned_by_thread, tid;

static void *body(void *unused)
{
    tid = gettid();
    must_zero(pthread_mutex_lock(&mutex));
    owned_by_thread = 1;
    must_zero(pthread_mutex_unlock(&mutex));
    return NULL;
}

int main(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    must_zero(pthread_mutex_init(&mutex, &attributes));
    must_zero(pthread_mutex_lock(&mutex));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_futex);
    ready_and_wait();
    check_equal("owned by the other thread", owned_by_thread, 0);
    must_zero(pthread_mutex_unlock(&mutex));
    join_thread(thread);
    check_equal("owned by the other thread in the end", owned_by_thread, 1);
    pass();
}
