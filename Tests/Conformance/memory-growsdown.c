// A MAP_GROWSDOWN mapping and the main stack still grow: mmap(2).
#include "conformance.h"

static int deep(int levels)
{
    volatile char block[4096];
    block[0] = (char)levels;
    block[4095] = (char)levels;
    return (levels ? deep(levels - 1) : 0) + (block[0] == (char)levels) + (block[4095] == (char)levels);
}

int main(void)
{
    size_t room = 4 << 20;
    char *area = must(mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    must(munmap(area, room)); // leaves a gap of that size, to grow into
    char *top = area + room - 4 * PAGE;
    char *stack = must(mmap(top, 4 * PAGE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0));
    fill(stack, 4 * PAGE, 1);
    for (char *p = stack - 1; p > stack - 8 * PAGE; p -= PAGE / 2) *p = 3; // grows before
    ready_and_wait();
    check_pattern("the part mapped first", stack, 4 * PAGE, 1);
    for (char *p = stack - 1; p > stack - 8 * PAGE; p -= PAGE / 2) check_equal("the part grown", *p, 3);
    for (char *p = stack - 8 * PAGE; p > stack - 40 * PAGE; p -= PAGE / 2) *p = 4; // grows after
    check(has_vm_flag(stack, "gd"), "the mapping does not grow down any more");
    check_equal("deep recursion on the main stack", deep(1000), 2002);
    pass();
}
