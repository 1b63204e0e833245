// Checkpointed inside a handler on the alternate stack, the interrupted code goes on: sigreturn(2).
#include "conformance.h"

enum { SIZE = 65536 };
static volatile int handled;

static void on_signal(int number, siginfo_t *info, void *unused)
{
    stack_t stack;
    sigset_t mask;
    ready_and_wait();
    check_equal("signal number", number, SIGUSR1);
    check_equal("value", info->si_value.sival_int, 4711);
    must(sigaltstack(NULL, &stack));
    check(stack.ss_flags & SS_ONSTACK, "the kernel does not know of the alternate stack");
    must(sigprocmask(SIG_SETMASK, NULL, &mask));
    check(sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGUSR2), "mask within the handler");
    handled = 1;
}

int main(void)
{
    stack_t stack = {.ss_sp = map_anonymous(SIZE), .ss_size = SIZE};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    sigset_t mask;
    sigaddset(&action.sa_mask, SIGUSR2);
    must(sigaltstack(&stack, NULL));
    must(sigaction(SIGUSR1, &action, NULL));
    double x = 1.5;
    __asm__ volatile("" : "+x"(x));
    must(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 4711}));
    __asm__ volatile("" : "+x"(x));
    check_equal("handler has run", handled, 1);
    check(x == 1.5, "a vector register is lost");
    must(sigprocmask(SIG_SETMASK, NULL, &mask));
    check(!sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2), "mask after the handler");
    pass();
}
