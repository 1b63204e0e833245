// Realtime policies with their priorities: sched(7) SCHED_FIFO, SCHED_RR.
#include "conformance.h"

static void body(void *unused)
{
    struct sched_param param = {.sched_priority = 7}, got;
    must(sched_setscheduler(0, SCHED_RR, &param));
    child_ready();
    wait_go();
    check_equal("policy", sched_getscheduler(0), SCHED_RR);
    must(sched_getparam(0, &got));
    check_equal("priority", got.sched_priority, 7);
}

int main(void)
{
    struct sched_param param = {.sched_priority = 3}, got;
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0) skip("SCHED_FIFO: %s", strerror(errno));
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    check_equal("policy", sched_getscheduler(0), SCHED_FIFO | SCHED_RESET_ON_FORK);
    must(sched_getparam(0, &got));
    check_equal("priority", got.sched_priority, 3);
    join_child(child);
    pass();
}
