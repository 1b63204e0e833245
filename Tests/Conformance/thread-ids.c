// Thread ids stay, and a signal to one thread reaches that thread: gettid(2), tgkill(2).
#include "conformance.h"

enum { THREADS = 6 };
static pthread_barrier_t set_up;
static pid_t ids[THREADS];
static __thread volatile sig_atomic_t signals_here;
static volatile int finished;

static void on_signal(int unused) { signals_here++; }

static void *body(void *argument)
{
    long i = (long)argument;
    ids[i] = gettid();
    pthread_barrier_wait(&set_up);
    while (!signals_here) {
        if (finished) fail("thread %ld got no signal", i);
        sleep_ms(2);
    }
    check_equal("gettid", gettid(), ids[i]);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    signal(SIGUSR1, on_signal);
    pthread_barrier_init(&set_up, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) threads[i] = start_thread(body, (void *)i);
    pthread_barrier_wait(&set_up);
    pid_t pid = getpid();
    ready_and_wait();
    check_equal("getpid", getpid(), pid);
    check_equal("main thread's id", gettid(), pid);
    for (int i = 0; i < THREADS; i++) {
        if (i % 2) must_zero(pthread_kill(threads[i], SIGUSR1));
        else must(syscall(SYS_tgkill, pid, ids[i], SIGUSR1));
        join_thread(threads[i]);
    }
    check_equal("signals in the main thread", signals_here, 0);
    finished = 1;
    pass();
}
