// Threads in sigwaitinfo and sigtimedwait go on waiting, without EINTR: sigwaitinfo(2).
#include "conformance.h"

static int tid;
static sigset_t wanted;

static void *without_timeout(void *unused)
{
    siginfo_t info;
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int number = sigwaitinfo(&wanted, &info);
    check(number == SIGUSR1, "sigwaitinfo: %d %s", number, number < 0 ? strerror(errno) : "");
    check_equal("value", info.si_value.sival_int, 77);
    return NULL;
}

static void *with_timeout(void *unused)
{
    sigset_t never;
    siginfo_t info;
    struct timespec two = {2, 0};
    sigemptyset(&never);
    sigaddset(&never, SIGUSR2);
    double start = now();
    int number = sigtimedwait(&never, &info, &two);
    double took = now() - start;
    check(number == -1 && errno == EAGAIN, "sigtimedwait: %d %s", number, strerror(errno));
    check(took >= 1.999 && took < 7, "a wait of 2 s took %.3f s", took);
    return NULL;
}

int main(void)
{
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    sigset_t blocked = wanted;
    sigaddset(&blocked, SIGUSR2);
    must(sigprocmask(SIG_BLOCK, &blocked, NULL));
    pthread_t one = start_thread(without_timeout, NULL), two = start_thread(with_timeout, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_rt_sigtimedwait);
    ready_and_wait();
    must(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77}));
    join_thread(one);
    join_thread(two);
    pass();
}
