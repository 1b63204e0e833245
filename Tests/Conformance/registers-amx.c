// AMX tiles and the permission to use them: arch_prctl(2) ARCH_REQ_XCOMP_PERM.
#include "conformance.h"
#include <cpuid.h>

enum { REQUEST_PERMISSION = 0x1023, GET_PERMISSION = 0x1022, TILE_DATA = 18 };
static volatile int stop;
static uint8_t in[8][1024], out[8][1024];
static struct { uint8_t palette, start_row, reserved[14]; uint16_t columns[16]; uint8_t rows[16]; }
    __attribute__((aligned(64))) config;

static void *spin(void *unused)
{
    __asm__ volatile(
        "ldtilecfg (%3)\n"
        ".irp n,0,1,2,3,4,5,6,7\n lea 1024*\\n(%0), %%rax\n tileloadd (%%rax,%4), %%tmm\\n\n .endr\n"
        "1: pause\n cmpl $0, (%2)\n je 1b\n"
        ".irp n,0,1,2,3,4,5,6,7\n lea 1024*\\n(%1), %%rax\n tilestored %%tmm\\n, (%%rax,%4)\n .endr\n"
        "tilerelease\n"
        :: "r"(in), "r"(out), "r"(&stop), "r"(&config), "r"(64L) : "rax", "memory", "cc");
    return NULL;
}

int main(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & 1 << 24)) skip("the processor has no AMX");
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA)) skip("AMX is not permitted");
    config.palette = 1;
    for (int i = 0; i < 8; i++) { config.columns[i] = 64; config.rows[i] = 16; }
    fill(in, sizeof in, 8);
    pthread_t thread = start_thread(spin, NULL);
    sleep_ms(10);
    ready_and_wait();
    stop = 1;
    join_thread(thread);
    check_pattern("AMX tiles", out, sizeof out, 8);
    uint64_t permitted = 0;
    must(syscall(SYS_arch_prctl, GET_PERMISSION, &permitted));
    check(permitted & 1 << TILE_DATA, "the permission for AMX is gone");
    pass();
}
