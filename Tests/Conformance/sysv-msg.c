// A System V message queue: id, key, messages in order with types and sizes: msgget(2), msgrcv(2).
#include "conformance.h"
#include <sys/msg.h>

enum { COUNT = 12 };
struct message { long type; char data[2000]; };
static int id;
static void remove_queue(void) { msgctl(id, IPC_RMID, NULL); }
static size_t size_of(int i) { return (size_t)(i * 97 % 1200); } // the first is empty

int main(void)
{
    key_t key = 0x46000000 + getpid();
    id = must(msgget(key, IPC_CREAT | IPC_EXCL | 0640));
    cleanup = remove_queue;
    struct message m;
    for (int i = 0; i < COUNT; i++) {
        m.type = i % 3 + 1;
        fill(m.data, size_of(i), (unsigned)i);
        must(msgsnd(id, &m, size_of(i), IPC_NOWAIT));
    }
    struct msqid_ds info;
    ready_and_wait();
    must(msgctl(id, IPC_STAT, &info));
    check_equal("messages", info.msg_qnum, COUNT);
    check_equal("mode", info.msg_perm.mode & 0777, 0640);
    check_equal("id by key", msgget(key, 0), id);
    for (int i = 2; i < COUNT; i += 3) { // those of type 3 first
        check_equal("size", msgrcv(id, &m, sizeof m.data, 3, IPC_NOWAIT), size_of(i));
        check_pattern("message of type 3", m.data, size_of(i), (unsigned)i);
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 2) continue;
        check_equal("size", msgrcv(id, &m, sizeof m.data, 0, IPC_NOWAIT), size_of(i));
        check_equal("type", m.type, i % 3 + 1);
        check_pattern("message", m.data, size_of(i), (unsigned)i);
    }
    check(msgrcv(id, &m, sizeof m.data, 0, IPC_NOWAIT) == -1 && errno == ENOMSG, "one more message");
    pass();
}
