// A sleep lasts as long as was asked, over all interruptions: nanosleep(2), restart_syscall(2).
#include "conformance.h"

static void *body(void *unused)
{
    double start = now();
    struct timespec two = {2, 0};
    check(nanosleep(&two, NULL) == 0, "nanosleep: %s", strerror(errno));
    double took = now() - start;
    check(took >= 2 && took < 7, "a sleep of 2 s took %.3f s", took);
    return NULL;
}

int main(void)
{
    pthread_t thread = start_thread(body, NULL);
    sleep_ms(10);
    ready_and_wait();
    join_thread(thread);
    pass();
}
