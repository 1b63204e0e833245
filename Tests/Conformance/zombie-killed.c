// A child killed by a signal and not yet waited for tells that signal: wait(2), waitid(2).
#include "conformance.h"

static pid_t killed_by(int signal_number)
{
    pid_t pid = must(fork());
    if (pid == 0) {
        signal(signal_number, SIG_DFL);
        while (1) pause();
    }
    must(kill(pid, signal_number));
    await(process_state(pid) == 'Z', "the child does not die");
    return pid;
}

int main(void)
{
    struct rlimit no_core = {0, 0};
    must(setrlimit(RLIMIT_CORE, &no_core));
    pid_t terminated = killed_by(SIGTERM), killed = killed_by(SIGKILL), realtime = killed_by(40);
    ready_and_wait();
    siginfo_t info = {0};
    must(waitid(P_PID, (id_t)killed, &info, WEXITED | WNOWAIT));
    check_equal("waitid code", info.si_code, CLD_KILLED);
    check_equal("waitid status", info.si_status, SIGKILL);
    int status = reap(terminated);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "expected SIGTERM, got 0x%x", status);
    status = reap(killed);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "expected SIGKILL, got 0x%x", status);
    status = reap(realtime);
    check(WIFSIGNALED(status) && WTERMSIG(status) == 40, "expected signal 40, got 0x%x", status);
    pass();
}
