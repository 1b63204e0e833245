// Queued realtime signals come in order, each with its value: signal(7), sigqueue(3).
#include "conformance.h"

int main(void)
{
    sigset_t mask;
    siginfo_t info;
    struct timespec none = {0, 0};
    sigemptyset(&mask);
    for (int s = 34; s <= 64; s++) sigaddset(&mask, s);
    must(sigprocmask(SIG_SETMASK, &mask, NULL));
    for (int i = 0; i < 30; i++)
        must(sigqueue(getpid(), 50 - i % 3, (union sigval){.sival_int = i * 11}));
    ready_and_wait();
    for (int n = 0; n < 30; n++) { // the lowest number first, within one number in order of sending
        int number = 48 + n / 10, i = n % 10 * 3 + (50 - number);
        check_equal("signal", sigtimedwait(&mask, &info, &none), number);
        check_equal("value", info.si_value.sival_int, i * 11);
        check_equal("code", info.si_code, SI_QUEUE);
    }
    check(sigtimedwait(&mask, &info, &none) == -1 && errno == EAGAIN, "one more signal");
    pass();
}
