// Three levels of processes keep their pids and parents: fork(2), getppid(2).
#include "conformance.h"

static pid_t saved_pids[3];

static void verify_self(int level, pid_t pid, pid_t parent)
{
    check_equal("getpid", getpid(), pid);
    check_equal("getppid", getppid(), parent);
    check_equal("pid in /proc/self", syscall(SYS_gettid), pid);
    check(saved_pids[level] == pid, "level %d remembers another pid", level);
}

static void grandchild(void *parent)
{
    pid_t pid = saved_pids[2] = getpid();
    child_ready();
    wait_go();
    verify_self(2, pid, *(pid_t *)parent);
}

static void child(void *parent)
{
    pid_t pid = saved_pids[1] = getpid(), below[2];
    for (int i = 0; i < 2; i++) below[i] = spawn(grandchild, &pid);
    child_ready();
    wait_go();
    verify_self(1, pid, *(pid_t *)parent);
    for (int i = 0; i < 2; i++) join_child(below[i]);
}

int main(void)
{
    pid_t pid = saved_pids[0] = getpid(), below[2];
    for (int i = 0; i < 2; i++) below[i] = spawn(child, &pid);
    ready_and_wait();
    check_equal("getpid", getpid(), pid);
    for (int i = 0; i < 2; i++) join_child(below[i]);
    check(waitpid(-1, NULL, 0) == -1 && errno == ECHILD, "there are more children than before");
    pass();
}
