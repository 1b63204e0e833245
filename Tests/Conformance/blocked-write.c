// A large write into a pipe that is full goes on where it was, without loss or repetition: pipe(7).
#include "conformance.h"

enum { SIZE = 1000000 };
static int p[2], tid;
static volatile int returned;

static void *body(void *unused)
{
    char *data = malloc(SIZE);
    fill(data, SIZE, 9);
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    ssize_t n = write(p[1], data, SIZE);
    returned = 1;
    // Interrupted after part of the data, write returns that part: pipe(7) allows it.
    check(n > 0, "write: %s", strerror(errno));
    write_all(p[1], data + n, (size_t)(SIZE - n));
    free(data);
    return NULL;
}

int main(void)
{
    must(pipe(p));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_write);
    ready_and_wait();
    read_pattern("stream through the pipe", p[0], SIZE, 9);
    join_thread(thread);
    check_nothing_to_read("pipe", p[0]);
    pass();
}
