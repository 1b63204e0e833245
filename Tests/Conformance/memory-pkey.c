// Protection keys of mappings, which are allocated, and each thread's rights to them: pkeys(7). Memory mapped with
// PROT_EXEC alone has a key too, which the kernel takes and nobody may name.
#include "conformance.h"
#include <setjmp.h>

static int key;
static sigjmp_buf before_fault;
static volatile int fault;

static void *body(void *unused)
{
    must(pkey_set(key, PKEY_DISABLE_ACCESS));
    wait_go();
    check_equal("rights of the thread", pkey_get(key), PKEY_DISABLE_ACCESS);
    return NULL;
}

static void on_fault(int signal, siginfo_t *info, void *unused)
{
    fault = info->si_code;
    siglongjmp(before_fault, 1);
}

static int key_of(char *m)
{
    char line[512];
    smaps_line(m, "ProtectionKey:", line, sizeof line);
    return atoi(line + 14);
}

static char *page_with(int which)
{
    char *m = map_anonymous(PAGE);
    m[0] = 9;
    must(pkey_mprotect(m, PAGE, PROT_READ | PROT_WRITE, which));
    return m;
}

int main(void)
{
    key = pkey_alloc(0, 0);
    if (key < 0) skip("no protection keys: %s", strerror(errno));
    int gap = must(pkey_alloc(0, 0)), last = must(pkey_alloc(0, 0));
    char *m = page_with(key), *not_inherited = page_with(last), *code = map_anonymous(PAGE);
    must(madvise(not_inherited, PAGE, MADV_DONTFORK));
    code[0] = (char)0xc3;  // ret
    must(mprotect(code, PAGE, PROT_EXEC));
    int execute = key_of(code);
    check(execute > last, "execute-only memory has key %d", execute);
    must(pkey_free(gap));
    must(pkey_set(key, PKEY_DISABLE_WRITE));
    pthread_t thread = start_thread(body, NULL);
    ready_and_wait();
    check_equal("rights of the main thread", pkey_get(key), PKEY_DISABLE_WRITE);
    check_equal("content", m[0], 9);
    check_equal("key of the mapping", key_of(m), key);
    check_equal("key of memory that is not inherited", key_of(not_inherited), last);
    check_equal("key of execute-only memory", key_of(code), execute);
    ((void (*)(void))code)();
    must(sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, NULL));
    if (!sigsetjmp(before_fault, 1)) check(0, "execute-only memory was read: %d", *(volatile char *)code);
    check_equal("code of the fault", fault, SEGV_PKUERR);
    join_thread(thread);
    check_equal("the key that was free", pkey_alloc(0, 0), gap);
    int next = must(pkey_alloc(0, 0));
    check(next > execute, "key %d was given away again", next);
    pass();
}
