// Signal-driven input: owner and signal of a descriptor: fcntl(2) F_SETOWN, F_SETSIG, O_ASYNC.
#include "conformance.h"

static volatile sig_atomic_t signals, from;
static void on_input(int number, siginfo_t *info, void *unused) { signals++; from = info->si_fd; }

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_input, .sa_flags = SA_SIGINFO};
    int p[2];
    must(sigaction(44, &action, NULL));
    must(pipe(p));
    must(fcntl(p[0], F_SETOWN, getpid()));
    must(fcntl(p[0], F_SETSIG, 44));
    must(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK));
    ready_and_wait();
    check_equal("signals before", signals, 0);
    check_equal("owner", fcntl(p[0], F_GETOWN), getpid());
    check_equal("signal", fcntl(p[0], F_GETSIG), 44);
    check_equal("flags", fcntl(p[0], F_GETFL) & (O_ASYNC | O_NONBLOCK), O_ASYNC | O_NONBLOCK);
    must(write(p[1], "x", 1));
    await(signals > 0, "no signal tells of the input");
    check_equal("descriptor", from, p[0]);
    pass();
}
