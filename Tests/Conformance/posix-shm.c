// POSIX shared memory, linked and unlinked: shm_open(3), shm_overview(7).
#include "conformance.h"

static char linked[64];
static char *one, *two;
static void unlink_it(void) { shm_unlink(linked); }

static void body(void *unused)
{
    child_ready();
    wait_go();
    check_pattern("linked, in the child", one, 2 * PAGE, 1);
    check_pattern("unlinked, in the child", two, 2 * PAGE, 2);
    one[3 * PAGE] = 5;
    two[3 * PAGE] = 6;
}

int main(void)
{
    char unlinked[64];
    snprintf(linked, sizeof linked, "/fermata-%d", getpid());
    snprintf(unlinked, sizeof unlinked, "/fermata-%d-unlinked", getpid());
    int a = must(shm_open(linked, O_RDWR | O_CREAT | O_EXCL, 0600));
    cleanup = unlink_it;
    int b = must(shm_open(unlinked, O_RDWR | O_CREAT | O_EXCL, 0600));
    must(shm_unlink(unlinked));
    must(ftruncate(a, 4 * PAGE));
    must(ftruncate(b, 4 * PAGE));
    one = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0));
    two = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, b, 0));
    close(a);
    fill(one, 2 * PAGE, 1);
    fill(two, 2 * PAGE, 2);
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    join_child(child);
    check_equal("the child's write", one[3 * PAGE], 5);
    check_equal("the child's write to the unlinked", two[3 * PAGE], 6);
    char byte = 0;
    must(pread(b, &byte, 1, 3 * PAGE));
    check_equal("the same through its descriptor", byte, 6);
    int again = must(shm_open(linked, O_RDWR, 0));
    must(pread(again, &byte, 1, 3 * PAGE));
    check_equal("the same through the name", byte, 5);
    check(shm_open(unlinked, O_RDWR, 0) == -1, "the unlinked one has a name again");
    pass();
}
