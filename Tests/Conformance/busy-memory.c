// Memory that is mapped, changed, discarded and unmapped all the time: mmap(2), madvise(2), malloc(3).
#include "conformance.h"

enum { SLOTS = 64 };

int main(void)
{
    char *slot[SLOTS] = {0};
    size_t size[SLOTS] = {0};
    unsigned seed[SLOTS] = {0}, random = 1, rounds = 0;
    ready();
    do {
        random = random * 1664525 + 1013904223;
        unsigned i = random >> 8 & (SLOTS - 1), action = random >> 20 & 3;
        if (slot[i]) check_pattern("block", slot[i], size[i], seed[i]);
        if (slot[i] && action == 0) {
            must(munmap(slot[i], size[i]));
            slot[i] = NULL;
        } else if (slot[i] && action == 1) {
            must(madvise(slot[i], size[i], MADV_DONTNEED));
            check_zero("discarded block", slot[i], size[i]);
            fill(slot[i], size[i], seed[i]);
        } else if (slot[i] && action == 2) {
            slot[i] = must(mremap(slot[i], size[i], size[i] + PAGE, MREMAP_MAYMOVE));
            check_zero("grown part", slot[i] + size[i], PAGE);
            size[i] += PAGE;
            fill(slot[i], size[i], ++seed[i]);
        } else if (!slot[i]) {
            size[i] = (1 + (random >> 24 & 7)) * PAGE;
            slot[i] = map_anonymous(size[i]);
            check_zero("new block", slot[i], size[i]);
            fill(slot[i], size[i], seed[i] = rounds);
        }
        char *small = malloc(random >> 16);
        check(small != NULL, "malloc");
        small[0] = 1;
        free(small);
    } while (++rounds % 16 || !is_go());
    for (int i = 0; i < SLOTS; i++)
        if (slot[i]) check_pattern("block at the end", slot[i], size[i], seed[i]);
    pass();
}
