// A parent that waits for its child goes on waiting until the child exits: wait4(2).
#include "conformance.h"

static void grandchild(void *unused)
{
    child_ready();
    wait_go();
    _exit(33);
}

static void waiter(void *unused)
{
    pid_t below = spawn(grandchild, NULL);
    int status = -1;
    child_ready();
    pid_t got = waitpid(below, &status, 0);
    check(got == below, "waitpid: %d %s", got, strerror(errno));
    check(is_go(), "waitpid returned before go");
    check(WIFEXITED(status) && WEXITSTATUS(status) == 33, "wait status 0x%x", status);
    forget_child(below);
}

int main(void)
{
    pid_t child = spawn(waiter, NULL);
    wait_blocked(child, SYS_wait4);
    ready_and_wait();
    join_child(child);
    pass();
}
