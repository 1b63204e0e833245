// Must be refused: a child that is process 1 of a pid namespace of its own: pid_namespaces(7).
#include "conformance.h"

static void body(void *unused)
{
    check_equal("pid within the namespace", getpid(), 1);
    parent_pid = getppid();
    child_ready();
    wait_go();
    check_equal("pid within the namespace", getpid(), 1);
    pid_t below = must(fork());
    if (below == 0) _exit(0);
    check_equal("pid of a child", below, 2);
    check_equal("waitpid", waitpid(below, NULL, 0), below);
}

int main(void)
{
    if (unshare(CLONE_NEWPID) < 0) skip("unshare: %s", strerror(errno));
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    join_child(child);
    pass();
}
