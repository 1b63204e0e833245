// Shared anonymous memory is still one memory for parent, child and grandchild: mmap(2).
#include "conformance.h"

static char *m;
enum { SIZE = 1 << 20 };

static void grandchild(void *unused)
{
    char *part = mremap(m + SIZE / 2, SIZE / 2, SIZE / 2, MREMAP_MAYMOVE); // at another offset only
    child_ready();
    wait_go();
    await(__atomic_load_n(&part[1], __ATOMIC_SEQ_CST) == 11, "the child's write is not seen");
    __atomic_store_n(&part[2], 12, __ATOMIC_SEQ_CST);
}

static void child(void *unused)
{
    pid_t below = spawn(grandchild, NULL);
    child_ready();
    wait_go();
    await(__atomic_load_n(&m[SIZE / 2], __ATOMIC_SEQ_CST) == 10, "the parent's write is not seen");
    check_pattern("content in the child", m, SIZE / 2, 3);
    __atomic_store_n(&m[SIZE / 2 + 1], 11, __ATOMIC_SEQ_CST);
    join_child(below);
}

int main(void)
{
    m = map_shared(SIZE);
    fill(m, SIZE / 2, 3);
    char *other = map_shared(PAGE);
    pid_t below = spawn(child, NULL);
    ready_and_wait();
    check_pattern("content in the parent", m, SIZE / 2, 3);
    check_zero("rest", m + SIZE / 2, SIZE / 2);
    __atomic_store_n(&m[SIZE / 2], 10, __ATOMIC_SEQ_CST);
    join_child(below);
    check_equal("the grandchild's write", m[SIZE / 2 + 2], 12);
    check_zero("other shared memory", other, PAGE);
    must(madvise(m, SIZE, MADV_DONTNEED));
    check_pattern("content after MADV_DONTNEED", m, SIZE / 2, 3); // shared memory is not discarded
    pass();
}
