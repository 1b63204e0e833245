// After the restart too, discarded pages read as zeroes: madvise(2) MADV_DONTNEED.
#include "conformance.h"

int main(void)
{
    size_t size = 2 << 20;
    char *m = map_anonymous(size);
    fill(m, size, 1);
    must(madvise(m, size / 4, MADV_DONTNEED)); // before
    ready_and_wait();
    check_zero("discarded before", m, size / 4);
    must(madvise(m + size / 2, size / 2, MADV_DONTNEED));
    check_zero("discarded after", m + size / 2, size / 2);
    char *old = malloc(size / 4);
    char *whole = malloc(size);
    fill(whole, size, 1);
    memcpy(old, whole + size / 4, size / 4);
    check_bytes("kept part", m + size / 4, old, size / 4);
    fill(m, size, 2);
    check_pattern("written again", m, size, 2);
    pass();
}
