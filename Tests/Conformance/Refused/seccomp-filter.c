// Must be refused: a seccomp filter, which could forbid the calls that capture and restart need: seccomp(2).
#include "conformance.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

int main(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 123),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) skip("seccomp: %s", strerror(errno));
    ready_and_wait();
    check_equal("mode", prctl(PR_GET_SECCOMP), SECCOMP_MODE_FILTER);
    check(getpriority(PRIO_PROCESS, 0) == -1 && errno == 123, "the filter does not filter");
    pass();
}
