// Protections and the content under them: none, read-only, execute, write after: mprotect(2).
#include "conformance.h"
#include <setjmp.h>

static sigjmp_buf back;
static void on_fault(int unused) { siglongjmp(back, 1); }

static int faults(volatile char *address, int write)
{
    if (sigsetjmp(back, 1)) return 1;
    if (write) *address = 1;
    else (void)*address;
    return 0;
}

int main(void)
{
    static const unsigned char code[] = {0xb8, 0x2a, 0x00, 0x00, 0x00, 0xc3}; // mov $42, %eax; ret
    char *m = map_anonymous(16 * PAGE);
    signal(SIGSEGV, on_fault);
    fill(m, 16 * PAGE, 1);
    memcpy(m + 8 * PAGE, code, sizeof code);
    must(mprotect(m, 4 * PAGE, PROT_NONE));
    must(mprotect(m + 4 * PAGE, 4 * PAGE, PROT_READ));
    must(mprotect(m + 8 * PAGE, PAGE, PROT_READ | PROT_EXEC));
    char *never = must(mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ready_and_wait();
    check(faults(m, 0) && faults(m + 4 * PAGE - 1, 0), "PROT_NONE can be read");
    check(!faults(m + 4 * PAGE, 0) && faults(m + 4 * PAGE, 1), "PROT_READ: wrong protection");
    check(faults(m + 8 * PAGE, 1), "PROT_EXEC can be written");
    check_equal("result of the code", ((int (*)(void))(void *)(m + 8 * PAGE))(), 42);
    check(!faults(m + 9 * PAGE, 1), "the rest cannot be written");
    check(faults(never, 0), "the reserved area can be read");
    m[9 * PAGE] = (char)pattern_byte(9 * PAGE, 1);
    must(mprotect(m, 16 * PAGE, PROT_READ | PROT_WRITE));
    check_pattern("under PROT_NONE and PROT_READ", m, 8 * PAGE, 1);
    check_bytes("code", m + 8 * PAGE, code, sizeof code);
    for (size_t i = 9 * PAGE; i < 16 * PAGE; i++)
        check_equal("writable part", (uint8_t)m[i], pattern_byte(i, 1));
    must(mprotect(never, 4 * PAGE, PROT_READ | PROT_WRITE));
    check_zero("reserved area", never, 4 * PAGE);
    pass();
}
