// SA_RESTART decides afterwards too whether a blocked read goes on or returns EINTR: signal(7).
#include "conformance.h"

static int p[2], tid;
static __thread volatile sig_atomic_t handled;
static volatile int seen;
static volatile ssize_t result;
static volatile int error;

static void on_signal(int unused) { handled++; seen++; }

static void *body(void *unused)
{
    char byte;
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    result = read(p[0], &byte, 1);
    error = errno;
    check_equal("byte through the restarted read", result == 1 ? byte : 'x', 'x');
    return NULL;
}

static pthread_t blocked_reader(void)
{
    tid = 0;
    result = -99;
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_read);
    return thread;
}

int main(void)
{
    struct sigaction restarting = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction interrupting = {.sa_handler = on_signal};
    must(sigaction(SIGUSR1, &restarting, NULL));
    must(sigaction(SIGUSR2, &interrupting, NULL));
    must(pipe(p));
    pthread_t thread = blocked_reader();
    ready_and_wait();
    must_zero(pthread_kill(thread, SIGUSR1));
    await(seen == 1, "the handler does not run");
    sleep_ms(20);
    check_equal("read has not returned", result, -99);
    must(write(p[1], "x", 1));
    join_thread(thread);
    check_equal("restarted read", result, 1);
    thread = blocked_reader();
    must_zero(pthread_kill(thread, SIGUSR2));
    join_thread(thread);
    check(result == -1 && error == EINTR, "interrupted read: %zd, %s", result, strerror(error));
    pass();
}
