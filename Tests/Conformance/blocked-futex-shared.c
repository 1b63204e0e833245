// Processes that wait on one futex in shared memory find each other again: futex(2), sem_wait(3).
#include "conformance.h"
#include <semaphore.h>

static sem_t *semaphores;

static void body(void *unused)
{
    child_ready();
    check(sem_wait(&semaphores[0]) == 0, "sem_wait: %s", strerror(errno));
    check(is_go(), "woken before go");
    must(sem_post(&semaphores[1]));
}

int main(void)
{
    semaphores = map_shared(PAGE);
    for (int i = 0; i < 2; i++) must(sem_init(&semaphores[i], 1, 0));
    pid_t one = spawn(body, NULL), two = spawn(body, NULL);
    wait_blocked(one, SYS_futex);
    wait_blocked(two, SYS_futex);
    ready_and_wait();
    for (int i = 0; i < 2; i++) {
        must(sem_post(&semaphores[0]));
        check(sem_wait(&semaphores[1]) == 0, "sem_wait in the parent: %s", strerror(errno));
    }
    join_child(one);
    join_child(two);
    pass();
}
