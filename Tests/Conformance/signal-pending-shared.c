// Signals pending for the whole process keep code, sender and value: sigqueue(3), sigtimedwait(2).
#include "conformance.h"

int main(void)
{
    sigset_t mask, pending;
    siginfo_t info;
    struct timespec none = {0, 0};
    sigfillset(&mask);
    must(sigprocmask(SIG_SETMASK, &mask, NULL));
    must(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void *)0x123456789abc}));
    must(kill(getpid(), SIGUSR2));
    must(kill(getpid(), SIGTERM));
    ready_and_wait();
    must(sigpending(&pending));
    for (int s = 1; s <= 64; s++)
        check_equal("pending", sigismember(&pending, s), s == SIGUSR1 || s == SIGUSR2 || s == SIGTERM);
    check_equal("first", sigtimedwait(&mask, &info, &none), SIGUSR1);
    check_equal("code of sigqueue", info.si_code, SI_QUEUE);
    check_equal("sender", info.si_pid, getpid());
    check_equal("user of the sender", info.si_uid, getuid());
    check_equal("value", (long)info.si_value.sival_ptr, 0x123456789abc);
    check_equal("second", sigtimedwait(&mask, &info, &none), SIGUSR2);
    check_equal("code of kill", info.si_code, SI_USER);
    check_equal("third", sigtimedwait(&mask, &info, &none), SIGTERM);
    check(sigtimedwait(&mask, &info, &none) == -1 && errno == EAGAIN, "one more signal");
    pass();
}
