// Whether a process may be dumped, for two children that differ: prctl(2) PR_SET_DUMPABLE.
#include "conformance.h"

static void body(void *value)
{
    must(prctl(PR_SET_DUMPABLE, *(int *)value, 0, 0, 0));
    child_ready();
    wait_go();
    check_equal("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), *(int *)value);
}

int main(void)
{
    int no = 0, yes = 1;
    pid_t one = spawn(body, &no), two = spawn(body, &yes);
    ready_and_wait();
    join_child(one);
    join_child(two);
    pass();
}
