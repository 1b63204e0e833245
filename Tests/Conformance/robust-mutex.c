// A robust mutex tells that its owner died, in another process or thread: get_robust_list(2).
#include "conformance.h"

static pthread_mutex_t *mutexes;

static void *owner_thread(void *unused)
{
    must_zero(pthread_mutex_lock(&mutexes[1]));
    wait_go();
    return NULL;
}

static void owner(void *unused)
{
    must_zero(pthread_mutex_lock(&mutexes[0]));
    child_ready();
    wait_go();
    _exit(0);
}

int main(void)
{
    pthread_mutexattr_t attributes;
    mutexes = map_shared(PAGE);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < 2; i++) must_zero(pthread_mutex_init(&mutexes[i], &attributes));
    pid_t child = spawn(owner, NULL);
    pthread_t thread = start_thread(owner_thread, NULL);
    await(pthread_mutex_trylock(&mutexes[1]) == EBUSY || (pthread_mutex_unlock(&mutexes[1]), 0),
          "the thread does not take its mutex");
    ready_and_wait();
    for (int i = 0; i < 2; i++) {
        check_equal("lock after the owner's death", pthread_mutex_lock(&mutexes[i]), EOWNERDEAD);
        must_zero(pthread_mutex_consistent(&mutexes[i]));
        must_zero(pthread_mutex_unlock(&mutexes[i]));
    }
    join_thread(thread);
    join_child(child);
    pass();
}
