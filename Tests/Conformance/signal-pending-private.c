// A blocked signal that is pending for one thread stays pending for that thread alone: sigpending(2).
#include "conformance.h"

static pthread_barrier_t barrier;

static void *body(void *argument)
{
    int mine = argument != NULL;
    sigset_t pending, wanted;
    siginfo_t info;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    wait_go();
    must(sigpending(&pending));
    check_equal("SIGUSR1 pending", sigismember(&pending, SIGUSR1), mine);
    check_equal("signal 45 pending", sigismember(&pending, 45), mine);
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    sigaddset(&wanted, 45);
    struct timespec none = {0, 0};
    if (!mine) return NULL;
    // The C library's sigtimedwait hides SI_TKILL.
    check_equal("first signal", syscall(SYS_rt_sigtimedwait, &wanted, &info, &none, 8L), SIGUSR1);
    check_equal("code of tgkill", info.si_code, SI_TKILL);
    check_equal("sender", info.si_pid, getpid());
    check_equal("second signal", sigtimedwait(&wanted, &info, &none), 45);
    check_equal("its value", info.si_value.sival_int, 12345);
    check_equal("nothing more", sigtimedwait(&wanted, &info, &none), -1);
    return NULL;
}

int main(void)
{
    sigset_t mask;
    sigfillset(&mask);
    must(sigprocmask(SIG_SETMASK, &mask, NULL));
    pthread_barrier_init(&barrier, NULL, 3);
    pthread_t target = start_thread(body, ""), other = start_thread(body, NULL);
    pthread_barrier_wait(&barrier);
    must_zero(pthread_kill(target, SIGUSR1));
    must_zero(pthread_sigqueue(target, 45, (union sigval){.sival_int = 12345}));
    pthread_barrier_wait(&barrier);
    ready_and_wait();
    join_thread(target);
    join_thread(other);
    pass();
}
