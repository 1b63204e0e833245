// Semaphore operations with SEM_UNDO are undone when the process ends, after a restart too: semop(2).
#include "conformance.h"
#include <sys/sem.h>

static int id;
static void remove_set(void) { semctl(id, 0, IPC_RMID); }

static void body(void *unused)
{
    struct sembuf step[3] = {{0, -4, SEM_UNDO}, {1, 2, SEM_UNDO}, {2, 1, 0}};
    must(semop(id, step, 3));
    child_ready();
    wait_go();
}

int main(void)
{
    id = must(semget(IPC_PRIVATE, 3, 0600));
    cleanup = remove_set;
    for (int i = 0; i < 3; i++) must(semctl(id, i, SETVAL, 10));
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    reap(child);
    check_equal("value taken, undone", semctl(id, 0, GETVAL), 10);
    check_equal("value given, undone", semctl(id, 1, GETVAL), 10);
    check_equal("value given without SEM_UNDO", semctl(id, 2, GETVAL), 11);
    pass();
}
