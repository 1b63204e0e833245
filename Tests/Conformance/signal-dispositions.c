// Handlers, flags and masks of all signals: sigaction(2).
#include "conformance.h"

static void one(int unused) {}
static void two(int unused, siginfo_t *info, void *context) {}

static const int flags[] = {0, SA_RESTART, SA_NODEFER, SA_ONSTACK, SA_RESETHAND,
                            SA_NOCLDSTOP | SA_NOCLDWAIT, SA_RESTART | SA_NODEFER};

static struct sigaction action_for(int s)
{
    struct sigaction a = {0};
    a.sa_flags = flags[s % 7];
    switch (s % 4) {
        case 0: a.sa_handler = one; break;
        case 1: a.sa_sigaction = two; a.sa_flags |= SA_SIGINFO; break;
        case 2: a.sa_handler = SIG_IGN; break;
        case 3: a.sa_handler = SIG_DFL; break;
    }
    sigemptyset(&a.sa_mask);
    for (int m = 1; m <= 64; m++)
        if (m != SIGKILL && m != SIGSTOP && m != 32 && m != 33 && (m + s) % 6 == 0)
            sigaddset(&a.sa_mask, m);
    return a;
}

static int settable(int s) { return s != SIGKILL && s != SIGSTOP && s != 32 && s != 33; }

int main(void)
{
    for (int s = 1; s <= 64; s++) {
        struct sigaction a = action_for(s);
        if (settable(s)) must(sigaction(s, &a, NULL));
    }
    ready_and_wait();
    for (int s = 1; s <= 64; s++) {
        struct sigaction expected = action_for(s), got;
        if (!settable(s)) continue;
        must(sigaction(s, NULL, &got));
        check(got.sa_handler == expected.sa_handler, "signal %d: handler %p", s, got.sa_handler);
        check_equal("flags", got.sa_flags & ~0x04000000, expected.sa_flags);
        for (int m = 1; m <= 64; m++)
            check(sigismember(&got.sa_mask, m) == sigismember(&expected.sa_mask, m),
                  "signal %d: mask differs in %d", s, m);
    }
    pass();
}
