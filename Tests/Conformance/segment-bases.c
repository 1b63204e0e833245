// The FS base of every thread and a GS base of one's own: arch_prctl(2).
#include "conformance.h"
#include <asm/prctl.h>

static long data[4] = {11, 22, 33, 44};

static long through_gs(void)
{
    long value;
    __asm__ volatile("mov %%gs:16, %0" : "=r"(value));
    return value;
}

static void *body(void *base)
{
    unsigned long fs = 0, fs_after = 0, gs = 0;
    must(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
    must(syscall(SYS_arch_prctl, ARCH_SET_GS, base));
    if (base == data) ready();
    wait_go();
    must(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_after));
    must(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    check_equal("FS base", fs_after, fs);
    check_equal("GS base", gs, (long)base);
    check_equal("value through GS", through_gs(), *(long *)((char *)base + 16));
    return NULL;
}

int main(void)
{
    static long others[4] = {5, 6, 7, 8};
    pthread_t thread = start_thread(body, others);
    body(data);
    join_thread(thread);
    pass();
}
