// Protection keys of mappings and each thread's rights to them: pkeys(7).
#include "conformance.h"

static int key;

static void *body(void *unused)
{
    must(pkey_set(key, PKEY_DISABLE_ACCESS));
    wait_go();
    check_equal("rights of the thread", pkey_get(key), PKEY_DISABLE_ACCESS);
    return NULL;
}

int main(void)
{
    key = pkey_alloc(0, 0);
    if (key < 0) skip("no protection keys: %s", strerror(errno));
    char *m = map_anonymous(PAGE), line[512];
    m[0] = 9;
    must(pkey_mprotect(m, PAGE, PROT_READ | PROT_WRITE, key));
    must(pkey_set(key, PKEY_DISABLE_WRITE));
    pthread_t thread = start_thread(body, NULL);
    ready_and_wait();
    check_equal("rights of the main thread", pkey_get(key), PKEY_DISABLE_WRITE);
    check_equal("content", m[0], 9);
    smaps_line(m, "ProtectionKey:", line, sizeof line);
    check_equal("key of the mapping", atoi(line + 14), key);
    join_thread(thread);
    int second = must(pkey_alloc(0, 0));
    check(second != key, "the key was given away again");
    pass();
}
