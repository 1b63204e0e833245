// A sender blocked in write, with full queues on both sides: every byte arrives once: tcp(7).
#include "conformance.h"

enum { SIZE = 16 << 20 };
static struct connection c;
static int tid;

static void *body(void *unused)
{
    char *data = malloc(SIZE);
    fill(data, SIZE, 1);
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    write_all(c.client, data, SIZE);
    must(shutdown(c.client, SHUT_WR));
    free(data);
    return NULL;
}

int main(void)
{
    c = tcp_connection(AF_INET);
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_write);
    int bytes = 0;
    ready_and_wait();
    must(ioctl(c.server, FIONREAD, &bytes));
    check(bytes > 0, "nothing is left unread");
    read_pattern("stream", c.server, SIZE, 1);
    char byte;
    check_equal("end of file", read(c.server, &byte, 1), 0);
    join_thread(thread);
    pass();
}
