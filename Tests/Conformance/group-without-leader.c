// A process group whose leader is dead and reaped still has its members: setpgid(2), kill(2).
#include "conformance.h"

static volatile sig_atomic_t signalled;
static void on_signal(int unused) { signalled = 1; }

static void leader(void *unused)
{
    must(setpgid(0, 0));
    child_ready();
    pause();
}

static void member(void *group)
{
    signal(SIGUSR1, on_signal);
    must(setpgid(0, *(pid_t *)group));
    child_ready();
    wait_go();
    check_equal("member's group", getpgrp(), *(pid_t *)group);
    await(signalled, "the signal to the group did not arrive");
}

int main(void)
{
    pid_t group = spawn(leader, NULL);
    pid_t one = spawn(member, &group), two = spawn(member, &group);
    kill(group, SIGKILL);
    reap(group);
    ready_and_wait();
    check(kill(group, 0) == -1 && errno == ESRCH, "the dead leader %d is there again", group);
    check_equal("group of the first member", getpgid(one), group);
    check_equal("group of the second member", getpgid(two), group);
    must(kill(-group, SIGUSR1));
    join_child(one);
    join_child(two);
    pass();
}
