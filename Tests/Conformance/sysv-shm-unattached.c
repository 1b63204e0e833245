// A segment nobody has attached at the moment keeps id, size and content: shmget(2).
#include "conformance.h"
#include <sys/shm.h>

static int ids[3];
static void remove_segments(void) { for (int i = 0; i < 3; i++) shmctl(ids[i], IPC_RMID, NULL); }

int main(void)
{
    for (int i = 0; i < 3; i++) ids[i] = must(shmget(IPC_PRIVATE, (size_t)(i + 1) * 10000, 0600));
    cleanup = remove_segments;
    for (int i = 0; i < 3; i++) {
        char *m = must(shmat(ids[i], NULL, 0));
        fill(m, (size_t)(i + 1) * 10000, (unsigned)i);
        must(shmdt(m));
    }
    ready_and_wait();
    for (int i = 0; i < 3; i++) {
        struct shmid_ds info;
        must(shmctl(ids[i], IPC_STAT, &info));
        check_equal("size", info.shm_segsz, (i + 1) * 10000);
        check_equal("attachments", info.shm_nattch, 0);
        char *m = must(shmat(ids[i], NULL, 0));
        check_pattern("content", m, (size_t)(i + 1) * 10000, (unsigned)i);
    }
    pass();
}
