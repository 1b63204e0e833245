// Nice values, SCHED_BATCH and SCHED_IDLE, per thread: sched(7), setpriority(2).
#include "conformance.h"

static const struct { int policy, nice; } settings[] = {
    {SCHED_OTHER, 3}, {SCHED_OTHER, 11}, {SCHED_BATCH, 7}, {SCHED_IDLE, 15}, {SCHED_BATCH | SCHED_RESET_ON_FORK, 5},
};
enum { COUNT = sizeof settings / sizeof *settings };
static pthread_barrier_t barrier;

static void *body(void *argument)
{
    long i = (long)argument;
    struct sched_param none = {0};
    must(setpriority(PRIO_PROCESS, (id_t)gettid(), settings[i].nice));
    must(sched_setscheduler(0, settings[i].policy, &none));
    pthread_barrier_wait(&barrier);
    wait_go();
    errno = 0;
    check_equal("nice value", getpriority(PRIO_PROCESS, (id_t)gettid()), settings[i].nice);
    check_equal("policy", sched_getscheduler(0), settings[i].policy);
    return NULL;
}

int main(void)
{
    pthread_t threads[COUNT];
    errno = 0;
    if (getpriority(PRIO_PROCESS, 0) > 3 && geteuid()) skip("the nice value is already high");
    pthread_barrier_init(&barrier, NULL, COUNT + 1);
    int before = getpriority(PRIO_PROCESS, 0);
    for (long i = 0; i < COUNT; i++) threads[i] = start_thread(body, (void *)i);
    pthread_barrier_wait(&barrier);
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) join_thread(threads[i]);
    check_equal("nice value of the main thread", getpriority(PRIO_PROCESS, 0), before);
    check_equal("policy of the main thread", sched_getscheduler(0), SCHED_OTHER);
    pass();
}
