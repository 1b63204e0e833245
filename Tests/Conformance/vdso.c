// Calls without system calls, through the address that the program remembers: vdso(7), getauxval(3).
#include "conformance.h"
#include <sys/auxv.h>

int main(void)
{
    char before[1024] = "", after[1024] = "";
    unsigned char random[16];
    unsigned long address = getauxval(AT_SYSINFO_EHDR);
    ssize_t size = read_file("/proc/self/auxv", before, sizeof before);
    memcpy(random, (void *)getauxval(AT_RANDOM), 16);
    ready_and_wait();
    struct timeval day;
    struct timespec t;
    unsigned cpu, node;
    must(gettimeofday(&day, NULL));
    must(clock_gettime(CLOCK_REALTIME, &t));
    check(t.tv_sec >= day.tv_sec && t.tv_sec - day.tv_sec < 60, "gettimeofday and clock_gettime differ");
    check(labs(time(NULL) - t.tv_sec) < 60, "time and clock_gettime differ");
    must(getcpu(&cpu, &node));
    check(cpu < 65536, "getcpu: %u", cpu);
    must(clock_getres(CLOCK_MONOTONIC, &t));
    if (address) check_bytes("the vDSO", (void *)address, "\177ELF", 4);
    check_equal("AT_SYSINFO_EHDR", getauxval(AT_SYSINFO_EHDR), address);
    check_equal("AT_PAGESZ", getauxval(AT_PAGESZ), PAGE);
    check_bytes("AT_RANDOM", (void *)getauxval(AT_RANDOM), random, 16);
    check_equal("size of the auxiliary vector", read_file("/proc/self/auxv", after, sizeof after), size);
    check_bytes("auxiliary vector", after, before, (size_t)size);
    pass();
}
