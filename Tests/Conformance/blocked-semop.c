// A thread blocked in semop is woken by another one's semop, without EINTR: semop(2).
#include "conformance.h"
#include <sys/sem.h>

static int semaphores, tid;
static volatile int returned;
static void remove_semaphores(void) { semctl(semaphores, 0, IPC_RMID); }

static void *body(void *unused)
{
    struct sembuf down[2] = {{0, -2, 0}, {1, 1, 0}};
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int result = semop(semaphores, down, 2);
    returned = 1;
    check(result == 0, "semop: %s", strerror(errno));
    return NULL;
}

int main(void)
{
    semaphores = must(semget(IPC_PRIVATE, 2, 0600));
    cleanup = remove_semaphores;
    must(semctl(semaphores, 0, SETVAL, 1));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    await(semctl(semaphores, 0, GETNCNT) == 1, "the thread does not wait");
    ready_and_wait();
    check_equal("semop has returned", returned, 0);
    await(semctl(semaphores, 0, GETNCNT) == 1, "nobody waits for the semaphore");
    check_equal("value before", semctl(semaphores, 0, GETVAL), 1);
    struct sembuf up = {0, 1, 0};
    must(semop(semaphores, &up, 1));
    join_thread(thread);
    check_equal("value of the first", semctl(semaphores, 0, GETVAL), 0);
    check_equal("value of the second", semctl(semaphores, 1, GETVAL), 1);
    pass();
}
