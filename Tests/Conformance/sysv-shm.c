// A System V shared memory segment: id, key, content, attachments: shmget(2), shmat(2).
#include "conformance.h"
#include <sys/shm.h>

static int id;
static char *m;
static void remove_segment(void) { shmctl(id, IPC_RMID, NULL); }

static void body(void *unused)
{
    child_ready();
    wait_go();
    check_pattern("content in the child", m, 4 * PAGE, 1);
    await(__atomic_load_n(&m[5 * PAGE], __ATOMIC_SEQ_CST) == 3, "the parent's write is not seen");
    __atomic_store_n(&m[5 * PAGE], 4, __ATOMIC_SEQ_CST);
    must(shmdt(m));
}

int main(void)
{
    key_t key = 0x46000000 + getpid();
    id = must(shmget(key, 8 * PAGE - 100, IPC_CREAT | IPC_EXCL | 0640));
    cleanup = remove_segment;
    m = must(shmat(id, NULL, 0));
    char *read_only = must(shmat(id, NULL, SHM_RDONLY));
    fill(m, 4 * PAGE, 1);
    pid_t child = spawn(body, NULL);
    struct shmid_ds info;
    ready_and_wait();
    must(shmctl(id, IPC_STAT, &info));
    check_equal("attachments", info.shm_nattch, 4);
    check_equal("size", info.shm_segsz, 8 * PAGE - 100);
    check_equal("mode", info.shm_perm.mode & 0777, 0640);
    check_equal("id by key", shmget(key, 0, 0), id);
    check_pattern("content", read_only, 4 * PAGE, 1);
    __atomic_store_n(&m[5 * PAGE], 3, __ATOMIC_SEQ_CST);
    join_child(child);
    check_equal("the child's write", read_only[5 * PAGE], 4);
    must(shmdt(m));
    char *again = must(shmat(id, NULL, 0));
    check_pattern("attached again", again, 4 * PAGE, 1);
    pass();
}
