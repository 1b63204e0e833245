// The restartable-sequence area that the C library registered still tells the processor: rseq(2).
#include "conformance.h"
#include <sys/rseq.h>

static pthread_barrier_t barrier;

static volatile struct rseq *area(void)
{
    return (volatile struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static void *body(void *unused)
{
    pthread_barrier_wait(&barrier);
    wait_go();
    cpu_set_t allowed, one;
    must(sched_getaffinity(0, sizeof allowed, &allowed));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        must(sched_setaffinity(0, sizeof one, &one));
        sched_yield();
        check_equal("sched_getcpu", sched_getcpu(), cpu);
        check_equal("processor in the rseq area", (int)area()->cpu_id, cpu);
    }
    must(sched_setaffinity(0, sizeof allowed, &allowed));
    // Registering a second area is refused as long as the first is registered.
    static struct rseq second __attribute__((aligned(32)));
    check(syscall(SYS_rseq, &second, 32, 0, 0x53053053) == -1, "no rseq area was registered");
    return NULL;
}

int main(void)
{
    if (__rseq_size == 0) skip("the C library registered no rseq area");
    pthread_barrier_init(&barrier, NULL, 3);
    pthread_t one = start_thread(body, NULL), two = start_thread(body, NULL);
    pthread_barrier_wait(&barrier);
    ready_and_wait();
    join_thread(one);
    join_thread(two);
    body((pthread_barrier_init(&barrier, NULL, 1), NULL));
    pass();
}
