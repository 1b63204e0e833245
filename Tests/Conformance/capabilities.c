// Capability sets: effective, permitted, inheritable, bounding, ambient: capabilities(7).
#include "conformance.h"
#include <linux/capability.h>

static int get_sets(struct __user_cap_data_struct *sets)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    return (int)syscall(SYS_capget, &header, sets);
}

static void body(void *unused)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{0}}, got[2];
    sets[0].permitted = 1u << CAP_NET_RAW | 1u << CAP_CHOWN | 1u << CAP_KILL | 1u << CAP_DAC_OVERRIDE;
    sets[0].effective = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE;
    sets[0].inheritable = 1u << CAP_NET_RAW;
    for (int c = 20; c < 30; c++) prctl(PR_CAPBSET_DROP, c);
    int bounding[41], expected[41];
    for (int c = 0; c <= 40; c++) expected[c] = prctl(PR_CAPBSET_READ, c);
    must(syscall(SYS_capset, &header, sets));
    must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
    child_ready();
    wait_go();
    must(get_sets(got));
    check_equal("effective", got[0].effective, sets[0].effective);
    check_equal("permitted", got[0].permitted, sets[0].permitted);
    check_equal("inheritable", got[0].inheritable, sets[0].inheritable);
    check_equal("higher capabilities", got[1].permitted | got[1].effective | got[1].inheritable, 0);
    for (int c = 0; c <= 40; c++) {
        bounding[c] = prctl(PR_CAPBSET_READ, c);
        check(bounding[c] == expected[c], "bounding set: capability %d: %d", c, bounding[c]);
        check_equal("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0), c == CAP_NET_RAW);
    }
}

int main(void)
{
    struct __user_cap_data_struct sets[2];
    must(get_sets(sets));
    if (!(sets[0].permitted & 1u << CAP_SETPCAP)) skip("needs root");
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    join_child(child);
    pass();
}
