// A read that waits on an empty pipe goes on waiting: pipe(7), read(2).
#include "conformance.h"

static int p[2], tid;
static volatile int returned;

static void *body(void *unused)
{
    char text[16] = "";
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    ssize_t n = read(p[0], text, sizeof text);
    returned = 1;
    check(n == 5 && strcmp(text, "hello") == 0, "read: %zd %s", n, n < 0 ? strerror(errno) : text);
    return NULL;
}

int main(void)
{
    must(pipe(p));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_read);
    ready_and_wait();
    check_equal("read has returned", returned, 0);
    must(write(p[1], "hello", 5));
    join_thread(thread);
    pass();
}
