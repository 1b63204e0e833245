// A mapping of huge pages from the reserved pool: mmap(2) MAP_HUGETLB.
#include "conformance.h"

int main(void)
{
    size_t size = 2 << 20;
    char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (m == MAP_FAILED) skip("no huge pages are reserved");
    fill(m, size, 1);
    ready_and_wait();
    check_pattern("huge page", m, size, 1);
    check(has_vm_flag(m, "ht"), "the mapping has no huge pages any more");
    pass();
}
