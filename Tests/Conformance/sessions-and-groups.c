// A child that leads its session, with a grandchild in a group of its own: setsid(2), setpgid(2).
#include "conformance.h"

static void grandchild(void *session)
{
    must(setpgid(0, 0));
    pid_t pid = getpid();
    child_ready();
    wait_go();
    check_equal("grandchild's group", getpgrp(), pid);
    check_equal("grandchild's session", getsid(0), *(pid_t *)session);
}

static void member(void *session)
{
    child_ready();
    wait_go();
    check_equal("member's group", getpgrp(), *(pid_t *)session);
    check_equal("member's session", getsid(0), *(pid_t *)session);
}

static void leader(void *unused)
{
    pid_t pid = must(setsid());
    pid_t own_group = spawn(grandchild, &pid), same_group = spawn(member, &pid);
    child_ready();
    wait_go();
    check_equal("leader's session", getsid(0), pid);
    check_equal("leader's group", getpgrp(), pid);
    check(setsid() == -1 && errno == EPERM, "a group leader could start a session");
    join_child(own_group);
    join_child(same_group);
}

int main(void)
{
    pid_t session = getsid(0), group = getpgrp();
    int foreign = session == 0 || group == 0; // they lie outside our pid namespace
    pid_t child = spawn(leader, NULL);
    ready_and_wait();
    if (!foreign) check_equal("own group leads or follows as before", getpgrp() == getpid(),
                              group == getpid());
    check_equal("child's session", getsid(child), child);
    join_child(child);
    pass();
}
