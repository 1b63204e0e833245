// Memory marked MADV_DONTFORK keeps its content and is still not inherited: madvise(2).
#include "conformance.h"

int main(void)
{
    size_t size = 16 * PAGE;
    char *m = map_anonymous(size);
    fill(m, size, 1);
    must(madvise(m + 4 * PAGE, 4 * PAGE, MADV_DONTFORK));
    ready_and_wait();
    check_pattern("content", m, size, 1);
    check(has_vm_flag(m + 4 * PAGE, "dc"), "the mark is gone");
    check(!has_vm_flag(m, "dc"), "the neighbour is marked");
    pid_t pid = must(fork());
    if (pid == 0) {
        unsigned char in_core[4];
        int mapped = mincore(m + 4 * PAGE, PAGE, in_core) == 0;
        int neighbour = mincore(m, PAGE, in_core) == 0;
        _exit(!mapped && neighbour ? 0 : 1);
    }
    children[child_count++] = pid;
    join_child(pid);
    must(madvise(m, size, MADV_DOFORK));
    check(!has_vm_flag(m + 4 * PAGE, "dc"), "MADV_DOFORK has no effect");
    pass();
}
