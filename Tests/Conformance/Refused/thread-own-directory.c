// A thread with a working directory, umask and file table of its own: unshare(2) CLONE_FS, CLONE_FILES.
#include "conformance.h"

static char *folder;
static int set_up, thread_fd;

static void *body(void *unused)
{
    char path[4096];
    must(unshare(CLONE_FS | CLONE_FILES));
    must(chdir(folder));
    umask(031);
    thread_fd = must(dup(1));
    __atomic_store_n(&set_up, 1, __ATOMIC_SEQ_CST);
    wait_go();
    check(getcwd(path, sizeof path) && strcmp(path, folder) == 0, "thread's directory: %s", path);
    check_equal("thread's umask", umask(0), 031);
    check(fcntl(thread_fd, F_GETFD) == 0, "the thread's descriptor is gone");
    return NULL;
}

int main(void)
{
    char path[4096];
    folder = scratch("folder");
    must(mkdir(folder, 0700));
    must(chdir("/"));
    umask(027);
    pthread_t thread = start_thread(body, NULL);
    await(__atomic_load_n(&set_up, __ATOMIC_SEQ_CST), "the thread does not start");
    ready_and_wait();
    check(getcwd(path, sizeof path) && strcmp(path, "/") == 0, "main directory: %s", path);
    check(fcntl(thread_fd, F_GETFD) == -1, "the thread's descriptor shows up in the main thread");
    join_thread(thread);
    check_equal("main umask", umask(0), 027);
    pass();
}
