// A thread that waits for a message of one type gets it, without EINTR: msgrcv(2).
#include "conformance.h"
#include <sys/msg.h>

struct message { long type; char text[16]; };
static int queue, tid;
static void remove_queue(void) { msgctl(queue, IPC_RMID, NULL); }

static void *body(void *unused)
{
    struct message m = {0};
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    ssize_t n = msgrcv(queue, &m, sizeof m.text, 7, 0);
    check(n == 6, "msgrcv: %zd %s", n, n < 0 ? strerror(errno) : "");
    check(strcmp(m.text, "seven") == 0, "message: %s", m.text);
    return NULL;
}

int main(void)
{
    queue = must(msgget(IPC_PRIVATE, 0600));
    cleanup = remove_queue;
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&tid, __ATOMIC_SEQ_CST), "the thread does not start");
    wait_blocked(tid, SYS_msgrcv);
    ready_and_wait();
    struct message three = {3, "three"}, seven = {7, "seven"};
    must(msgsnd(queue, &three, 6, 0));
    must(msgsnd(queue, &seven, 6, 0));
    join_thread(thread);
    check_equal("message of the other type", must(msgrcv(queue, &seven, 16, 0, IPC_NOWAIT)), 6);
    pass();
}
