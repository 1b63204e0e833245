// A removed segment that is still attached lives on until the last one detaches: shmctl(2) IPC_RMID.
#include "conformance.h"
#include <sys/shm.h>

static char *m;

static void body(void *unused)
{
    child_ready();
    wait_go();
    check_pattern("content in the child", m, 4 * PAGE, 1);
    await(__atomic_load_n(&m[5 * PAGE], __ATOMIC_SEQ_CST) == 3, "the parent's write is not seen");
    __atomic_store_n(&m[5 * PAGE], 4, __ATOMIC_SEQ_CST);
}

int main(void)
{
    int id = must(shmget(IPC_PRIVATE, 8 * PAGE, 0600));
    m = shmat(id, NULL, 0);
    must(shmctl(id, IPC_RMID, NULL));
    must(m);
    fill(m, 4 * PAGE, 1);
    pid_t child = spawn(body, NULL);
    struct shmid_ds info;
    ready_and_wait();
    must(shmctl(id, IPC_STAT, &info));
    check_equal("attachments", info.shm_nattch, 2);
    check(info.shm_perm.mode & SHM_DEST, "the segment is no longer marked as removed");
    __atomic_store_n(&m[5 * PAGE], 3, __ATOMIC_SEQ_CST);
    join_child(child);
    check_equal("the child's write", m[5 * PAGE], 4);
    must(shmdt(m));
    check(shmctl(id, IPC_STAT, &info) == -1, "the segment survives its last attachment");
    pass();
}
