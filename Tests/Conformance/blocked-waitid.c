// A thread in waitid for any child is woken by the child that exits: waitid(2).
#include "conformance.h"

static int tid;

static void grandchild(void *status)
{
    child_ready();
    wait_go();
    _exit(44);
}

static void *body(void *child)
{
    siginfo_t info = {0};
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    check(waitid(P_ALL, 0, &info, WEXITED) == 0, "waitid: %s", strerror(errno));
    check_equal("child", info.si_pid, *(pid_t *)child);
    check_equal("exit status", info.si_status, 44);
    return NULL;
}

int main(void)
{
    pid_t child = spawn(grandchild, NULL);
    pthread_t thread = start_thread(body, &child);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_waitid);
    ready_and_wait();
    join_thread(thread);
    forget_child(child);
    pass();
}
