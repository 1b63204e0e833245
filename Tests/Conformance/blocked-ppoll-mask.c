// A ppoll with a signal mask of its own: the mask holds during the wait and the old one after: ppoll(2).
#include "conformance.h"

static int tid, p[2];
static volatile sig_atomic_t handled;
static void on_signal(int unused) { handled++; }

static void *body(void *unused)
{
    sigset_t old, during, after;
    struct pollfd fd = {.fd = p[0], .events = POLLIN};
    sigemptyset(&old);
    sigaddset(&old, SIGUSR2);
    must_zero(pthread_sigmask(SIG_SETMASK, &old, NULL));
    sigemptyset(&during);
    sigaddset(&during, SIGUSR1);
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int n = ppoll(&fd, 1, NULL, &during);
    check(n == 1, "ppoll: %d %s", n, n < 0 ? strerror(errno) : "");
    check_equal("signals handled after", handled, 1);
    must_zero(pthread_sigmask(SIG_SETMASK, NULL, &after));
    for (int s = 1; s <= 64; s++) check_equal("blocked", sigismember(&after, s), s == SIGUSR2);
    return NULL;
}

int main(void)
{
    signal(SIGUSR1, on_signal);
    must(pipe(p));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_ppoll);
    ready_and_wait();
    must_zero(pthread_kill(thread, SIGUSR1)); // blocked by the mask of ppoll
    sleep_ms(20);
    check_equal("signals handled during ppoll", handled, 0);
    must(write(p[1], "x", 1));
    join_thread(thread);
    pass();
}
