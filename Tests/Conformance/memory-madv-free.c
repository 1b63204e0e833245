// Lazily freed pages hold either their old content or zeroes, and MADV_FREE still works: madvise(2).
#include "conformance.h"

static void check_old_or_zero(const char *what, const char *m, size_t size, int old)
{
    for (size_t i = 0; i < size; i += PAGE) {
        check(m[i] == old || m[i] == 0, "%s: page %zu holds %d", what, i / PAGE, m[i]);
        for (long k = 0; k < PAGE; k++)
            check(m[i + k] == m[i], "%s: page %zu is a mixture", what, i / PAGE);
    }
}

int main(void)
{
    size_t size = 1 << 20;
    char *m = map_anonymous(size);
    memset(m, 5, size);
    must(madvise(m, size / 2, MADV_FREE));
    ready_and_wait();
    check_old_or_zero("freed before", m, size / 2, 5);
    for (size_t i = size / 2; i < size; i++) check_equal("kept", m[i], 5);
    memset(m, 6, size / 2);
    for (size_t i = 0; i < size / 2; i++) check_equal("written again", m[i], 6);
    must(madvise(m + size / 2, size / 2, MADV_FREE));
    check_old_or_zero("freed after", m + size / 2, size / 2, 5);
    pass();
}
