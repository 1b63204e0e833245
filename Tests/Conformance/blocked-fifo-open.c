// An open of a FIFO that waits for the other end goes on waiting: fifo(7), open(2).
#include "conformance.h"

static char *path;
static int tid;
static volatile int returned;

static void *body(void *unused)
{
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    int fd = open(path, O_RDONLY);
    returned = 1;
    check(fd >= 0, "open: %s", strerror(errno));
    read_pattern("bytes through the FIFO", fd, 500, 3);
    return NULL;
}

int main(void)
{
    path = scratch("fifo");
    must(mkfifo(path, 0600));
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_openat);
    ready_and_wait();
    check_equal("open has returned", returned, 0);
    int fd = must(open(path, O_WRONLY));
    write_pattern(fd, 500, 3);
    join_thread(thread);
    pass();
}
