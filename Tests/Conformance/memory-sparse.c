// A huge mapping with a few touched pages stays huge and nearly empty: mmap(2) MAP_NORESERVE.
#include "conformance.h"

int main(void)
{
    size_t size = 64ul << 30, step = size / 64;
    char *m = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (size_t i = 0; i < 64; i++) fill(m + i * step + i * 5 * PAGE, PAGE, (unsigned)i);
    ready_and_wait();
    for (size_t i = 0; i < 64; i++) {
        check_pattern("touched page", m + i * step + i * 5 * PAGE, PAGE, (unsigned)i);
        check_zero("page next to it", m + i * step + i * 5 * PAGE + PAGE, PAGE);
    }
    check(has_vm_flag(m, "nr"), "the mapping is no longer MAP_NORESERVE");
    char text[128];
    long pages, resident = 0;
    read_file("/proc/self/statm", text, sizeof text);
    check(sscanf(text, "%ld %ld", &pages, &resident) == 2, "statm: %s", text);
    check(resident * PAGE < 256 << 20, "%ld pages are resident", resident);
    pass();
}
