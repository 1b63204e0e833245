// Threads may differ in their user ids and capabilities: setresuid(2), credentials(7), on system call level.
#include "conformance.h"

static pthread_barrier_t barrier;

static void *body(void *unused)
{
    must(syscall(SYS_setresgid, 1500, 1500, 1500));
    must(syscall(SYS_setresuid, 0, 1500, 0));
    pthread_barrier_wait(&barrier);
    // access() uses the real id, which is still root.
    wait_go();
    check_equal("effective user of the thread", syscall(SYS_geteuid), 1500);
    check_equal("real user of the thread", syscall(SYS_getuid), 0);
    check_equal("group of the thread", syscall(SYS_getegid), 1500);
    return NULL;
}

int main(void)
{
    if (geteuid() != 0) skip("needs root");
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread = start_thread(body, NULL);
    pthread_barrier_wait(&barrier);
    ready_and_wait();
    check_equal("effective user of the main thread", syscall(SYS_geteuid), 0);
    check_equal("group of the main thread", syscall(SYS_getegid), 0);
    join_thread(thread);
    pass();
}
