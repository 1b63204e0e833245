// Mappings of a file that has since been deleted, private and shared between processes: mmap(2).
#include "conformance.h"

static char *shared, *private;

static void body(void *unused)
{
    child_ready();
    wait_go();
    check_pattern("shared mapping in the child", shared, 2 * PAGE, 1);
    await(__atomic_load_n(&shared[2 * PAGE], __ATOMIC_SEQ_CST) == 5, "the parent's write is not seen");
    __atomic_store_n(&shared[2 * PAGE + 1], 6, __ATOMIC_SEQ_CST);
}

int main(void)
{
    char *path = scratch("file"), *content = calloc(1, 4 * PAGE);
    fill(content, 2 * PAGE, 1);
    write_file(path, content, 4 * PAGE);
    int fd = must(open(path, O_RDWR));
    shared = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    private = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    close(fd);
    must(unlink(path));
    private[3 * PAGE] = 8;
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    check_pattern("private mapping", private, 2 * PAGE, 1);
    check_equal("changed page", private[3 * PAGE], 8);
    check_equal("private change in the shared mapping", shared[3 * PAGE], 0);
    __atomic_store_n(&shared[2 * PAGE], 5, __ATOMIC_SEQ_CST);
    join_child(child);
    check_equal("the child's write", shared[2 * PAGE + 1], 6);
    check(access(path, F_OK) == -1, "the deleted file is there again");
    pass();
}
