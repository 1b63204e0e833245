// A process in pause is woken by a signal from its parent, whose handler knows the sender: pause(2).
#include "conformance.h"

static volatile sig_atomic_t sender;
static void on_signal(int number, siginfo_t *info, void *unused) { sender = info->si_pid; }

static void body(void *unused)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    must(sigaction(SIGUSR1, &action, NULL));
    child_ready();
    int result = pause();
    check(result == -1 && errno == EINTR, "pause: %d", result);
    check_equal("sender of the signal", sender, parent_pid);
}

int main(void)
{
    pid_t child = spawn(body, NULL);
    wait_blocked(child, SYS_pause);
    ready_and_wait();
    must(kill(child, SIGUSR1));
    join_child(child);
    pass();
}
