// A memory file that two processes map, with its descriptor open in one: memfd_create(2), mmap(2).
#include "conformance.h"

static int fd;
static char *m;

static void body(void *unused)
{
    close(fd);
    child_ready();
    wait_go();
    check_pattern("content in the child", m, 3 * PAGE, 1);
    await(__atomic_load_n(&m[3 * PAGE], __ATOMIC_SEQ_CST) == 1, "the parent's write is not seen");
    __atomic_store_n(&m[3 * PAGE], 2, __ATOMIC_SEQ_CST);
}

int main(void)
{
    fd = must(memfd_create("shared", MFD_ALLOW_SEALING));
    must(ftruncate(fd, 4 * PAGE));
    m = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *private = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    fill(m, 3 * PAGE, 1);
    private[PAGE] = 77;
    must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    check_equal("private change", private[PAGE], 77);
    must(pwrite(fd, "\1", 1, 3 * PAGE));
    join_child(child);
    check_equal("the child's write", m[3 * PAGE], 2);
    check_equal("the child's write through the private mapping", private[3 * PAGE], 2);
    check_equal("seals", fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK);
    pass();
}
