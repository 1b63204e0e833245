// Sixteen XMM registers stay through a loop that does not touch them: ptrace(2) NT_PRFPREG.
#include "conformance.h"

static volatile int stop;
static uint8_t in[16][16], out[16][16];

static void *spin(void *unused)
{
    __asm__ volatile(
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movdqu 16*\\n(%0), %%xmm\\n\n .endr\n"
        "1: pause\n cmpl $0, (%2)\n je 1b\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movdqu %%xmm\\n, 16*\\n(%1)\n .endr\n"
        :: "r"(in), "r"(out), "r"(&stop)
        : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return NULL;
}

int main(void)
{
    fill(in, sizeof in, 5);
    pthread_t thread = start_thread(spin, NULL);
    sleep_ms(10);
    ready_and_wait();
    stop = 1;
    join_thread(thread);
    check_pattern("XMM registers", out, sizeof out, 5);
    pass();
}
