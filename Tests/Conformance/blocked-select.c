// A select without timeout goes on until its descriptor is ready: select(2).
#include "conformance.h"
#include <sys/select.h>

static int a[2], b[2], tid;
static volatile int returned;

static void *body(void *unused)
{
    fd_set reads;
    FD_ZERO(&reads);
    FD_SET(a[0], &reads);
    FD_SET(b[0], &reads);
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int n = select((a[0] > b[0] ? a[0] : b[0]) + 1, &reads, NULL, NULL, NULL);
    returned = 1;
    check(n == 1, "select: %d %s", n, n < 0 ? strerror(errno) : "");
    check(FD_ISSET(b[0], &reads) && !FD_ISSET(a[0], &reads), "the wrong descriptor");
    return NULL;
}

int main(void)
{
    must(pipe(a));
    must(pipe(b));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    for (int i = 0; i < 200 && process_state(tid) != 'S'; i++) sleep_ms(1); // select or pselect6
    ready_and_wait();
    check_equal("select has returned", returned, 0);
    must(write(b[1], "x", 1));
    join_thread(thread);
    pass();
}
