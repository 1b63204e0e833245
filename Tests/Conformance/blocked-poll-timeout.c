// Polls without any event end after their timeouts, neither earlier nor much later: poll(2), ppoll(2).
#include "conformance.h"

static int p[2];

static void *with_poll(void *unused)
{
    struct pollfd fd = {.fd = p[0], .events = POLLIN};
    double start = now();
    int n = poll(&fd, 1, 2000);
    double took = now() - start;
    check(n == 0, "poll: %d %s", n, n < 0 ? strerror(errno) : "");
    check(took >= 1.999 && took < 7, "a poll of 2 s took %.3f s", took);
    return NULL;
}

static void *with_ppoll(void *unused)
{
    struct pollfd fd = {.fd = p[0], .events = POLLIN};
    struct timespec two = {2, 0};
    sigset_t mask;
    sigemptyset(&mask);
    double start = now();
    int n = ppoll(&fd, 1, &two, &mask);
    double took = now() - start;
    check(n == 0, "ppoll: %d %s", n, n < 0 ? strerror(errno) : "");
    check(took >= 1.999 && took < 7, "a ppoll of 2 s took %.3f s", took);
    return NULL;
}

int main(void)
{
    must(pipe(p));
    pthread_t one = start_thread(with_poll, NULL), two = start_thread(with_ppoll, NULL);
    sleep_ms(10);
    ready_and_wait();
    join_thread(one);
    join_thread(two);
    pass();
}
