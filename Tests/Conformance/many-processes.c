// A hundred processes at once, all found again by their pids: fork(2).
#include "conformance.h"

enum { COUNT = 100 };
static uint32_t *shared;

static void body(void *argument)
{
    long i = (long)argument;
    pid_t pid = getpid();
    child_ready();
    wait_go_every(20);
    check_equal("getpid", getpid(), pid);
    check_equal("getppid", getppid(), parent_pid);
    __atomic_add_fetch(&shared[0], 1, __ATOMIC_SEQ_CST);
    shared[i + 1] = (uint32_t)pid;
    _exit((int)i);
}

int main(void)
{
    pid_t pids[COUNT];
    shared = map_shared(PAGE);
    for (long i = 0; i < COUNT; i++) pids[i] = spawn(body, (void *)i);
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        int status = reap(pids[i]);
        check(WIFEXITED(status), "process %d: wait status 0x%x", i, status);
        check_equal("exit status", WEXITSTATUS(status), i);
        check_equal("pid noted by the child", shared[i + 1], pids[i]);
    }
    check_equal("processes that noted themselves", shared[0], COUNT);
    pass();
}
