// The execution domain of a process: personality(2).
#include "conformance.h"
#include <sys/personality.h>

static void body(void *flags)
{
    must(personality(*(unsigned *)flags));
    child_ready();
    wait_go();
    check_equal("personality", personality(0xffffffff), *(unsigned *)flags);
}

int main(void)
{
    unsigned fixed = ADDR_NO_RANDOMIZE, old = UNAME26 | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT;
    pid_t one = spawn(body, &fixed), two = spawn(body, &old);
    ready_and_wait();
    join_child(one);
    join_child(two);
    check_equal("personality of the parent", personality(0xffffffff), 0);
    pass();
}
