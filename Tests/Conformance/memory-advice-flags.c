// Advice that only shows in the flags of a mapping: madvise(2) hugepage, dontdump, random, sequential.
#include "conformance.h"

static const struct { int advice; const char *flag, *name; } advices[] = {
    {MADV_HUGEPAGE, "hg", "MADV_HUGEPAGE"}, {MADV_NOHUGEPAGE, "nh", "MADV_NOHUGEPAGE"},
    {MADV_DONTDUMP, "dd", "MADV_DONTDUMP"}, {MADV_RANDOM, "rr", "MADV_RANDOM"},
    {MADV_SEQUENTIAL, "sr", "MADV_SEQUENTIAL"},
};
enum { COUNT = sizeof advices / sizeof *advices };

int main(void)
{
    char *m[COUNT];
    int works[COUNT];
    for (int i = 0; i < COUNT; i++) {
        m[i] = must(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        m[i] = (char *)(((uintptr_t)m[i] + (2 << 20) - 1) & -(2ul << 20));
        works[i] = madvise(m[i], 2 << 20, advices[i].advice) == 0;
        fill(m[i], 2 << 20, (unsigned)i);
    }
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        check_pattern(advices[i].name, m[i], 2 << 20, (unsigned)i);
        if (works[i]) check(has_vm_flag(m[i], advices[i].flag), "%s is lost", advices[i].name);
    }
    pass();
}
