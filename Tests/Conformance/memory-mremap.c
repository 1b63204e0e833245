// A mapping that grows, moves and shrinks after the restart: new pages are zero: mremap(2).
#include "conformance.h"

int main(void)
{
    size_t size = 64 * PAGE;
    char *m = map_anonymous(size), *small = map_anonymous(size);
    fill(m, size, 1);
    fill(small, size, 2);
    ready_and_wait();
    m = must(mremap(m, size, 4 * size, MREMAP_MAYMOVE));
    check_pattern("old part", m, size, 1);
    check_zero("new part", m + size, 3 * size);
    small = must(mremap(small, size, size / 2, 0));
    check_pattern("shrunk", small, size / 2, 2);
    char *target = map_anonymous(size);
    m = must(mremap(m, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, target));
    check_pattern("moved", m, size, 1);
    pass();
}
