// Each thread's set of processors: sched_setaffinity(2).
#include "conformance.h"

static pthread_barrier_t barrier;
static cpu_set_t allowed;

static void *body(void *argument)
{
    int cpu = (int)(long)argument;
    cpu_set_t one, got;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    must(sched_setaffinity(0, sizeof one, &one));
    pthread_barrier_wait(&barrier);
    wait_go();
    must(sched_getaffinity(0, sizeof got, &got));
    check(CPU_EQUAL(&one, &got), "the thread may run on %d processors", CPU_COUNT(&got));
    check_equal("processor", sched_getcpu(), cpu);
    return NULL;
}

int main(void)
{
    cpu_set_t got;
    pthread_t threads[8];
    int count = 0;
    must(sched_getaffinity(0, sizeof allowed, &allowed));
    int wanted = CPU_COUNT(&allowed) < 8 ? CPU_COUNT(&allowed) : 8;
    pthread_barrier_init(&barrier, NULL, (unsigned)wanted + 1);
    for (long cpu = 0; cpu < CPU_SETSIZE && count < wanted; cpu++)
        if (CPU_ISSET(cpu, &allowed)) threads[count++] = start_thread(body, (void *)cpu);
    pthread_barrier_wait(&barrier);
    ready_and_wait();
    must(sched_getaffinity(0, sizeof got, &got));
    check(CPU_EQUAL(&allowed, &got), "the main thread may run on %d processors", CPU_COUNT(&got));
    for (int i = 0; i < count; i++) join_thread(threads[i]);
    pass();
}
