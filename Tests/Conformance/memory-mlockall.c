// After mlockall(2) with MCL_FUTURE, mappings made later are locked too.
#include "conformance.h"

int main(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_MEMLOCK, &limit));
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) skip("mlockall: %s", strerror(errno));
    char *before = map_anonymous(4 * PAGE);
    if (!has_vm_flag(before, "lo")) skip("MCL_FUTURE has no effect here");
    ready_and_wait();
    check(has_vm_flag(before, "lo"), "a mapping made before is no longer locked");
    char *after = map_anonymous(4 * PAGE);
    check(has_vm_flag(after, "lo"), "a mapping made after is not locked");
    pass();
}
