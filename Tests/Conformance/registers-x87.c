// Eight values on the x87 stack stay through a loop that does not touch them: ptrace(2) NT_PRFPREG.
#include "conformance.h"

static volatile int stop;
static long double in[8], out[8];

static void *spin(void *unused)
{
    __asm__ volatile(
        ".irp n,7,6,5,4,3,2,1,0\n fldt 16*\\n(%0)\n .endr\n"
        "1: pause\n cmpl $0, (%2)\n je 1b\n"
        ".irp n,0,1,2,3,4,5,6,7\n fstpt 16*\\n(%1)\n .endr\n"
        :: "r"(in), "r"(out), "r"(&stop)
        : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
    return NULL;
}

int main(void)
{
    for (int i = 0; i < 8; i++) in[i] = 3.14159265358979323846L * (i + 1) / 7;
    pthread_t thread = start_thread(spin, NULL);
    sleep_ms(10);
    ready_and_wait();
    stop = 1;
    join_thread(thread);
    for (int i = 0; i < 8; i++)
        check(in[i] == out[i], "st(%d): expected %.20Lg, got %.20Lg", i, in[i], out[i]);
    pass();
}
