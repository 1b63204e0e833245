// Memory marked MADV_WIPEONFORK keeps its content and is zero in a new child: madvise(2).
#include "conformance.h"

int main(void)
{
    size_t size = 4 * PAGE;
    char *m = map_anonymous(size);
    fill(m, size, 1);
    must(madvise(m, size, MADV_WIPEONFORK));
    ready_and_wait();
    check_pattern("content", m, size, 1);
    pid_t pid = must(fork());
    if (pid == 0) {
        check_zero("in the child", m, size);
        _exit(0);
    }
    children[child_count++] = pid;
    join_child(pid);
    pass();
}
