// A stop that the parent has not waited for yet is reported afterwards: waitid(2) WSTOPPED.
#include "conformance.h"

static void body(void *unused)
{
    child_ready();
    wait_go();
}

int main(void)
{
    pid_t child = spawn(body, NULL);
    must(kill(child, SIGSTOP));
    await(process_state(child) == 'T', "the child does not stop");
    ready_and_wait();
    siginfo_t info = {0};
    must(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG));
    check_equal("child that stopped", info.si_pid, child);
    check_equal("code", info.si_code, CLD_STOPPED);
    check_equal("signal", info.si_status, SIGSTOP);
    must(kill(child, SIGCONT));
    join_child(child);
    pass();
}
