// Must be refused: a child that is already traced by its parent: ptrace(2).
#include "conformance.h"
#include <sys/ptrace.h>

static void body(void *unused)
{
    child_ready();
    wait_go();
}

int main(void)
{
    pid_t child = spawn(body, NULL);
    if (ptrace(PTRACE_SEIZE, child, NULL, NULL) < 0) skip("PTRACE_SEIZE: %s", strerror(errno));
    ready_and_wait();
    int status;
    if (ptrace(PTRACE_INTERRUPT, child, NULL, NULL) == 0) {
        check_equal("waitpid", waitpid(child, &status, __WALL), child);
        if (WIFSTOPPED(status)) ptrace(PTRACE_DETACH, child, NULL, NULL);
        else {
            check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status 0x%x", status);
            forget_child(child);
            pass();
        }
    }
    join_child(child);
    pass();
}
