// Two thousand mappings with alternating protections: mmap(2).
#include "conformance.h"

enum { COUNT = 2000 };

int main(void)
{
    char *m = map_anonymous(2 * COUNT * PAGE);
    for (long i = 0; i < COUNT; i++) {
        memset(m + 2 * i * PAGE, (int)(i % 100 + 1), 2 * PAGE);
        must(mprotect(m + 2 * i * PAGE, PAGE, PROT_READ));
    }
    ready_and_wait();
    for (long i = 0; i < COUNT; i++) {
        char *a = m + 2 * i * PAGE;
        for (long k = 0; k < 2 * PAGE; k += 64) check_equal("content", a[k], i % 100 + 1);
        a[PAGE] = 1;
    }
    unsigned long start, end;
    char flags[8], line[512];
    int read_only = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx %4s", &start, &end, flags) == 3 && start >= (unsigned long)m &&
            end <= (unsigned long)(m + 2 * COUNT * PAGE)) read_only += strcmp(flags, "r--p") == 0;
    check_equal("read-only mappings", read_only, COUNT);
    pass();
}
