// MXCSR and the x87 control word, per thread: fesetround(3), ptrace(2) NT_PRFPREG.
#include "conformance.h"

static pthread_barrier_t barrier;

static void hold(uint32_t mxcsr, uint16_t control)
{
    uint32_t mxcsr_after;
    uint16_t control_after;
    __asm__ volatile("ldmxcsr %0\n fldcw %1" :: "m"(mxcsr), "m"(control));
    pthread_barrier_wait(&barrier);
    wait_go();
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(mxcsr_after), "=m"(control_after));
    check_equal("MXCSR", mxcsr_after & 0xffc0, mxcsr & 0xffc0);
    check_equal("x87 control word", control_after, control);
    volatile float one = 1, three = 3;
    float third = one / three, product = third * three;
    if ((mxcsr & 0x6000) == 0x2000) check(product < 1 || third < 0.33333333f, "rounding mode is lost");
}

static void *other(void *unused)
{
    hold(0x1f80 | 0x6000 | 0x8000, 0x0e7f); // toward zero, flush to zero, 53 bits
    return NULL;
}

int main(void)
{
    pthread_barrier_init(&barrier, NULL, 3);
    pthread_t thread = start_thread(other, NULL);
    pthread_t plain = start_thread((void *(*)(void *))(void (*)(void))pthread_barrier_wait, &barrier);
    ready();
    hold(0x1f80 | 0x2000, 0x077f); // downward
    join_thread(thread);
    pthread_join(plain, NULL);
    pass();
}
