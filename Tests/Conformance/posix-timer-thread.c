// A timer that signals one thread, and one of the C library that calls a function: timer_create(2).
#include "conformance.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
static volatile sig_atomic_t in_thread, elsewhere;
static __thread int is_target;
static int tid;
static volatile int done, calls;

static void on_tick(int unused) { if (is_target) in_thread++; else elsewhere++; }
static void on_call(union sigval value) { if (value.sival_int == 5) calls++; }

static void *body(void *unused)
{
    is_target = 1;
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    while (!done) sleep_ms(2);
    return NULL;
}

int main(void)
{
    struct itimerspec spec = {{0, 20000000}, {0, 20000000}};
    timer_t timer, calling;
    signal(42, on_tick);
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = 42};
    event.sigev_notify_thread_id = tid;
    must(timer_create(CLOCK_MONOTONIC, &event, &timer));
    must(timer_settime(timer, 0, &spec, NULL));
    struct sigevent call = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_call,
                            .sigev_value.sival_int = 5};
    must(timer_create(CLOCK_MONOTONIC, &call, &calling));
    must(timer_settime(calling, 0, &spec, NULL));
    ready_and_wait();
    int before = in_thread, calls_before = calls;
    await(in_thread >= before + 3, "no signals for the thread");
    check_equal("signals in other threads", elsewhere, 0);
    await(calls >= calls_before + 3, "the function is no longer called");
    must(timer_delete(timer));
    must(timer_delete(calling));
    done = 1;
    join_thread(thread);
    pass();
}
