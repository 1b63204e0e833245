// A named POSIX semaphore with a value, shared by processes: sem_open(3), sem_overview(7).
#include "conformance.h"
#include <semaphore.h>

static char name[64];
static sem_t *s;
static void unlink_it(void) { sem_unlink(name); }

static void body(void *unused)
{
    child_ready();
    wait_go();
    must(sem_wait(s));
    must(sem_wait(s));
}

int main(void)
{
    snprintf(name, sizeof name, "/fermata-%d", getpid());
    s = sem_open(name, O_CREAT | O_EXCL, 0600, 3);
    check(s != SEM_FAILED, "sem_open: %s", strerror(errno));
    cleanup = unlink_it;
    pid_t child = spawn(body, NULL);
    int value = -1;
    ready_and_wait();
    join_child(child);
    must(sem_getvalue(s, &value));
    check_equal("value", value, 1);
    sem_t *again = sem_open(name, 0);
    check(again == s, "the name means another semaphore: %p, not %p", (void *)again, (void *)s);
    pass();
}
