// Children that have exited but are not waited for keep their exit statuses: wait(2).
#include "conformance.h"

int main(void)
{
    pid_t children_pids[4];
    for (int i = 0; i < 4; i++) {
        children_pids[i] = must(fork());
        if (children_pids[i] == 0) _exit(i * 40 + 3);
    }
    for (int i = 0; i < 4; i++)
        await(process_state(children_pids[i]) == 'Z', "the child does not exit");
    ready_and_wait();
    for (int i = 3; i >= 0; i--) {
        int status = reap(children_pids[i]);
        check(WIFEXITED(status), "child %d: wait status 0x%x", i, status);
        check_equal("exit status", WEXITSTATUS(status), i * 40 + 3);
    }
    check(wait(NULL) == -1 && errno == ECHILD, "one more child than before");
    pass();
}
