// A thread in sigsuspend is woken by its signal, and has its old mask again: sigsuspend(2).
#include "conformance.h"

static int tid;
static volatile sig_atomic_t handled;
static void on_signal(int unused) { handled++; }

static void *body(void *unused)
{
    sigset_t old, during, after;
    sigemptyset(&old);
    sigaddset(&old, SIGUSR1);
    sigaddset(&old, SIGINT);
    must_zero(pthread_sigmask(SIG_SETMASK, &old, NULL));
    sigemptyset(&during);
    sigaddset(&during, SIGTERM);
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int result = sigsuspend(&during);
    check(result == -1 && errno == EINTR, "sigsuspend: %d %s", result, strerror(errno));
    check_equal("signals handled when sigsuspend returns", handled, 1);
    must_zero(pthread_sigmask(SIG_SETMASK, NULL, &after));
    for (int s = 1; s <= 64; s++)
        check_equal("blocked", sigismember(&after, s), s == SIGUSR1 || s == SIGINT);
    return NULL;
}

int main(void)
{
    signal(SIGUSR1, on_signal);
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_rt_sigsuspend);
    ready_and_wait();
    check_equal("signals handled before", handled, 0);
    must_zero(pthread_kill(thread, SIGUSR1));
    join_thread(thread);
    pass();
}
