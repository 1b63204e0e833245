// General registers and the direction flag keep their values in a loop that uses none: ptrace(2).
#include "conformance.h"

static int stop __attribute__((used));
static uint64_t in[14] __attribute__((used)), out[14] __attribute__((used));
static uint64_t flags __attribute__((used));

__attribute__((noinline)) static void hold(void)
{
    // Registers of C are saved around; memory is addressed relative to rip only.
    __asm__ volatile(
        "lea -256(%%rsp), %%rsp\n"
        "push %%rbp\n push %%rbx\n"
        "mov in+0(%%rip), %%rax\n mov in+8(%%rip), %%rbx\n mov in+16(%%rip), %%rcx\n"
        "mov in+24(%%rip), %%rdx\n mov in+32(%%rip), %%rsi\n mov in+40(%%rip), %%rdi\n"
        "mov in+48(%%rip), %%rbp\n mov in+56(%%rip), %%r8\n mov in+64(%%rip), %%r9\n"
        "mov in+72(%%rip), %%r10\n mov in+80(%%rip), %%r11\n mov in+88(%%rip), %%r12\n"
        "mov in+96(%%rip), %%r13\n mov in+104(%%rip), %%r14\n"
        "std\n"
        "1: pause\n cmpl $0, stop(%%rip)\n je 1b\n"
        "mov %%rax, out+0(%%rip)\n mov %%rbx, out+8(%%rip)\n mov %%rcx, out+16(%%rip)\n"
        "mov %%rdx, out+24(%%rip)\n mov %%rsi, out+32(%%rip)\n mov %%rdi, out+40(%%rip)\n"
        "mov %%rbp, out+48(%%rip)\n mov %%r8, out+56(%%rip)\n mov %%r9, out+64(%%rip)\n"
        "mov %%r10, out+72(%%rip)\n mov %%r11, out+80(%%rip)\n mov %%r12, out+88(%%rip)\n"
        "mov %%r13, out+96(%%rip)\n mov %%r14, out+104(%%rip)\n"
        "pushfq\n pop %%rax\n mov %%rax, flags(%%rip)\n cld\n"
        "pop %%rbx\n pop %%rbp\n"
        "lea 256(%%rsp), %%rsp\n"
        ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
            "memory", "cc");
}

static void *spin(void *unused)
{
    hold();
    return NULL;
}

int main(void)
{
    fill(in, sizeof in, 3);
    pthread_t thread = start_thread(spin, NULL);
    sleep_ms(10);
    ready_and_wait();
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    join_thread(thread);
    check_bytes("general registers", out, in, sizeof in);
    check(flags & 0x400, "the direction flag is clear: 0x%llx", (unsigned long long)flags);
    pass();
}
