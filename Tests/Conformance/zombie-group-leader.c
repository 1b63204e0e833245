// A zombie that leads a process group and a session others still use: wait(2), setsid(2).
#include "conformance.h"

static void leader(void *unused)
{
    pid_t session = must(setsid());
    if (must(fork()) == 0) {
        parent_pid = 0;
        while (process_state(session) != 'Z') sleep_ms(1);
        child_ready();
        while (!is_go() && process_state(session) == 'Z') sleep_ms(2);
        while (getsid(0) == session && getpgrp() == session && kill(session, 0) == 0) sleep_ms(2);
        _exit(0);
    }
    _exit(5);
}

int main(void)
{
    pid_t session = spawn(leader, NULL);
    ready_and_wait();
    check(process_state(session) == 'Z', "the leader is no zombie: %c", process_state(session));
    check_equal("group of the zombie", getpgid(session), session);
    must(kill(-session, 0));
    int status = reap(session);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 5, "wait status 0x%x", status);
    await(kill(-session, 0) == -1, "the other member of the session does not end");
    pass();
}
