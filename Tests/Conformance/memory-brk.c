// The heap keeps its content and grows and shrinks from the same end: brk(2), sbrk(2).
#include "conformance.h"

int main(void)
{
    size_t size = 1 << 20;
    char *m = must(sbrk((intptr_t)size));
    fill(m, size, 1);
    char *end = sbrk(0);
    char *small[100];
    for (int i = 0; i < 100; i++) fill(small[i] = malloc(50 + (size_t)i), 50 + (size_t)i, (unsigned)i);
    ready_and_wait();
    check(sbrk(0) == end || (char *)sbrk(0) > end, "the end of the heap moved back");
    check_pattern("heap", m, size, 1);
    for (int i = 0; i < 100; i++) check_pattern("malloc", small[i], 50 + (size_t)i, (unsigned)i);
    char *more = must(sbrk((intptr_t)size));
    for (size_t i = PAGE; i < size; i++) check_equal("grown heap", more[i], 0);
    fill(more, size, 2);
    must(sbrk(-(intptr_t)size));
    more = must(sbrk((intptr_t)size));
    for (size_t i = PAGE; i < size; i++) check_equal("heap shrunk and grown", more[i], 0);
    check_pattern("heap afterwards", m, size, 1);
    for (int i = 0; i < 100; i++) free(small[i]);
    pass();
}
