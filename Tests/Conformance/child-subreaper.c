// Orphans go to the nearest subreaper, not to init: prctl(2) PR_SET_CHILD_SUBREAPER.
#include "conformance.h"

static pid_t *orphan_pid;

static void orphan(void *unused)
{
    *orphan_pid = getpid();
    child_ready();
    parent_pid = 0;
    while (!is_go() && kill(top_pid, 0) == 0) sleep_ms(2);
    await(getppid() == top_pid, "the parent is %d, not the subreaper %d", getppid(), top_pid);
    _exit(17);
}

static void middle(void *unused)
{
    spawn(orphan, NULL);
    child_ready();
    while (1) pause();
}

int main(void)
{
    orphan_pid = map_shared(PAGE);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t child = spawn(middle, NULL);
    ready_and_wait();
    int set = 0;
    must(prctl(PR_GET_CHILD_SUBREAPER, &set, 0, 0, 0));
    check_equal("subreaper", set, 1);
    must(kill(child, SIGKILL));
    reap(child);
    int status = reap(*orphan_pid);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 17, "orphan: wait status 0x%x", status);
    pass();
}
