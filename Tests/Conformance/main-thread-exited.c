// The main thread has ended by pthread_exit(3), the others go on: the leader is a zombie, proc(5).
#include "conformance.h"

static void *survivor(void *argument)
{
    pid_t pid = getpid(), tid = gettid();
    await(process_state(pid) == 'Z', "the main thread does not end");
    if (argument) ready();
    wait_go();
    check_equal("getpid", getpid(), pid);
    check_equal("gettid", gettid(), tid);
    check(process_state(pid) == 'Z', "the main thread is alive again");
    if (!argument) return (void *)42;
    void *result;
    must_zero(pthread_join(*(pthread_t *)argument, &result));
    check_equal("result of the other thread", (long)result, 42);
    pass();
}

int main(void)
{
    static pthread_t other;
    other = start_thread(survivor, NULL);
    start_thread(survivor, &other);
    pthread_exit(NULL);
}
