// Private anonymous memory keeps its content, also at page edges and in holes: mmap(2).
#include "conformance.h"

int main(void)
{
    size_t size = 8 << 20;
    char *dense = map_anonymous(size), *sparse = map_anonymous(size), *untouched = map_anonymous(size);
    fill(dense, size, 1);
    for (size_t i = 0; i < size; i += 7 * PAGE) sparse[i] = (char)(i / PAGE + 1);
    memset(untouched, 0, PAGE); // a page of zeroes that was written
    volatile char read_only_touch = untouched[5 * PAGE];
    ready_and_wait();
    check_equal("touched zero page", read_only_touch, 0);
    check_pattern("dense", dense, size, 1);
    for (size_t i = 0; i < size; i++)
        check_equal("sparse", sparse[i], i % (7 * PAGE) ? 0 : (char)(i / PAGE + 1));
    check_zero("untouched", untouched, size);
    fill(untouched, size, 2);
    check_pattern("written afterwards", untouched, size, 2);
    must(munmap(dense, size));
    pass();
}
