// A System V semaphore set: id, key, values, last pid: semget(2), semctl(2).
#include "conformance.h"
#include <sys/sem.h>

static int id;
static void remove_set(void) { semctl(id, 0, IPC_RMID); }

int main(void)
{
    key_t key = 0x46000000 + getpid();
    id = must(semget(key, 5, IPC_CREAT | IPC_EXCL | 0640));
    cleanup = remove_set;
    unsigned short values[5] = {0, 7, 32767, 1, 12}, got[5];
    must(semctl(id, 0, SETALL, values));
    struct sembuf step[2] = {{1, -3, 0}, {4, 5, 0}};
    must(semop(id, step, 2));
    values[1] -= 3;
    values[4] += 5;
    struct semid_ds info;
    ready_and_wait();
    must(semctl(id, 0, GETALL, got));
    for (int i = 0; i < 5; i++) check_equal("value", got[i], values[i]);
    must(semctl(id, 0, IPC_STAT, &info));
    check_equal("semaphores", info.sem_nsems, 5);
    check_equal("mode", info.sem_perm.mode & 0777, 0640);
    check_equal("id by key", semget(key, 0, 0), id);
    must(semop(id, step, 2));
    check_equal("value after one more step", semctl(id, 1, GETVAL), 1);
    pass();
}
