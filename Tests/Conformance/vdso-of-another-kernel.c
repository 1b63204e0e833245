// A vDSO that differs from this kernel's, as after a move to a host with another kernel: the
// program changes its own copy. Functions remembered before must work where they were: vdso(7).
#include "conformance.h"
#include <elf.h>
#include <sys/auxv.h>

int main(void)
{
    unsigned char *vdso = (unsigned char *)getauxval(AT_SYSINFO_EHDR);
    check(vdso != NULL, "no vDSO");
    Elf64_Ehdr *header = (Elf64_Ehdr *)vdso;
    Elf64_Phdr *segment = (Elf64_Phdr *)(vdso + header->e_phoff);
    size_t note = 0;
    for (int i = 0; i < header->e_phnum; i++)
        if (segment[i].p_type == PT_NOTE) note = segment[i].p_offset + segment[i].p_filesz - 4;
    check(note != 0, "no note in the vDSO");
    unsigned char changed[4];
    for (int i = 0; i < 4; i++) changed[i] = ~vdso[note + i];
    int memory = must(open("/proc/self/mem", O_RDWR));
    check_equal("bytes changed", pwrite(memory, changed, 4, (off_t)(uintptr_t)(vdso + note)), 4);
    close(memory);
    struct timespec before, after;
    struct timeval day;
    must(clock_gettime(CLOCK_MONOTONIC, &before));  // glibc has the address of the vDSO's function
    time_t then = time(NULL);
    ready_and_wait();
    must(clock_gettime(CLOCK_MONOTONIC, &after));
    check(after.tv_sec - before.tv_sec >= 0 && after.tv_sec - before.tv_sec < 600,
          "the monotonic clock jumped");
    must(gettimeofday(&day, NULL));
    check(day.tv_sec >= then && day.tv_sec < then + 86400, "the time of day jumped");
    check(time(NULL) >= day.tv_sec, "time(2) is behind gettimeofday(2)");
    must(clock_getres(CLOCK_REALTIME, &after));
    unsigned cpu;
    must(getcpu(&cpu, NULL));
    check(memcmp(vdso, ELFMAG, SELFMAG) == 0, "the vDSO is not where it was");
    check(memcmp(vdso + note, changed, 4) == 0, "the changed bytes are gone");
    pass();
}
