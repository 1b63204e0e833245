// Thirty-two ZMM and seven mask registers stay through a loop that uses none: ptrace(2) NT_X86_XSTATE.
#include "conformance.h"

static volatile int stop;
static struct { uint8_t zmm[32][64]; uint64_t mask[8]; } in, out;

#define EACH_ZMM "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"

__attribute__((target("avx512f,avx512bw"))) static void *spin(void *unused)
{
    __asm__ volatile(
        ".irp n," EACH_ZMM "\n vmovdqu64 64*\\n(%0), %%zmm\\n\n .endr\n"
        ".irp n,1,2,3,4,5,6,7\n kmovq 2048+8*\\n(%0), %%k\\n\n .endr\n"
        "1: pause\n cmpl $0, (%2)\n je 1b\n"
        ".irp n," EACH_ZMM "\n vmovdqu64 %%zmm\\n, 64*\\n(%1)\n .endr\n"
        ".irp n,1,2,3,4,5,6,7\n kmovq %%k\\n, 2048+8*\\n(%1)\n .endr\n"
        "vzeroupper\n"
        :: "r"(&in), "r"(&out), "r"(&stop)
        : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",
          "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",
          "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7");
    return NULL;
}

int main(void)
{
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw"))
        skip("the processor has no AVX-512");
    fill(&in, sizeof in, 7);
    in.mask[0] = 0;
    pthread_t thread = start_thread(spin, NULL);
    sleep_ms(10);
    ready_and_wait();
    stop = 1;
    join_thread(thread);
    check_bytes("ZMM registers", out.zmm, in.zmm, sizeof in.zmm);
    check_bytes("mask registers", out.mask, in.mask, sizeof in.mask);
    pass();
}
