// Once set, no program can gain privileges: prctl(2) PR_SET_NO_NEW_PRIVS; securebits: capabilities(7).
#include "conformance.h"
#include <linux/securebits.h>

static const int bits = SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;

static void with_securebits(void *unused)
{
    must(prctl(PR_SET_SECUREBITS, bits));
    child_ready();
    wait_go();
    check_equal("securebits", prctl(PR_GET_SECUREBITS), bits);
    check_equal("no_new_privs of the other child", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}

static void without_privileges(void *unused)
{
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    child_ready();
    wait_go();
    check_equal("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

int main(void)
{
    if (geteuid() != 0) skip("needs root");
    pid_t one = spawn(with_securebits, NULL), two = spawn(without_privileges, NULL);
    ready_and_wait();
    join_child(one);
    join_child(two);
    pass();
}
