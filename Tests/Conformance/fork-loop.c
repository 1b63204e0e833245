// A tree that changes all the time, children with children of their own: fork(2), wait(2).
#include "conformance.h"

static int branch(int depth)
{
    pid_t below[2];
    for (int i = 0; i < 2 && depth > 0; i++) {
        below[i] = must(fork());
        if (below[i] == 0) _exit(branch(depth - 1));
    }
    int sum = 1;
    for (int i = 0; i < 2 && depth > 0; i++) {
        int status = 0;
        check_equal("waitpid", waitpid(below[i], &status, 0), below[i]);
        check(WIFEXITED(status), "depth %d: wait status 0x%x", depth, status);
        sum += WEXITSTATUS(status);
    }
    return sum;
}

int main(void)
{
    ready();
    do check_equal("processes in the tree", branch(3), 15); while (!is_go());
    check(wait(NULL) == -1 && errno == ECHILD, "a child too many");
    pass();
}
