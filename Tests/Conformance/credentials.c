// User, group and supplementary ids: real, effective, saved, file system: credentials(7), setgroups(2).
#include "conformance.h"
#include <grp.h>
#include <sys/fsuid.h>

static int go_pipe[2]; // the go file may be invisible to the user

static void check_ids(uid_t r, uid_t e, uid_t s, gid_t gr, gid_t ge, gid_t gs)
{
    uid_t u[3];
    gid_t g[3];
    must(getresuid(&u[0], &u[1], &u[2]));
    must(getresgid(&g[0], &g[1], &g[2]));
    check(u[0] == r && u[1] == e && u[2] == s, "user ids: %u %u %u", u[0], u[1], u[2]);
    check(g[0] == gr && g[1] == ge && g[2] == gs, "group ids: %u %u %u", g[0], g[1], g[2]);
}

static void nobody(void *unused)
{
    gid_t groups[4] = {65534, 4, 20, 70000}, got[8];
    char byte;
    must(setgroups(4, groups));
    must(setresgid(65534, 65534, 65534));
    must(setresuid(65534, 65534, 65534));
    child_ready();
    read(go_pipe[0], &byte, 1) == 1 ? (void)0 : _exit(1);
    check_ids(65534, 65534, 65534, 65534, 65534, 65534);
    check_equal("supplementary groups", getgroups(8, got), 4);
    unsigned seen = 0;
    for (int i = 0; i < 4; i++) for (int k = 0; k < 4; k++) seen |= (unsigned)(got[i] == groups[k]) << k;
    check_equal("set of supplementary groups", seen, 15);
    check(setuid(0) == -1 && errno == EPERM, "nobody became root again");
    check(chown("/", 0, 0) == -1, "nobody has capabilities");
}

static void mixed(void *unused)
{
    char byte;
    must(setgroups(0, NULL));
    must(setresgid(1001, 1002, 1003));
    must(setresuid(1001, 1002, 0));
    setfsuid(1001);
    child_ready();
    read(go_pipe[0], &byte, 1) == 1 ? (void)0 : _exit(1);
    check_equal("file system user id", setfsuid((uid_t)-1), 1001);
    check_ids(1001, 1002, 0, 1001, 1002, 1003);
    check_equal("supplementary groups", getgroups(0, NULL), 0);
    must(seteuid(0)); // the saved id allows it
}

int main(void)
{
    if (geteuid() != 0) skip("needs root");
    must(pipe(go_pipe));
    pid_t one = spawn(nobody, NULL), two = spawn(mixed, NULL);
    ready_and_wait();
    must(write(go_pipe[1], "go", 2));
    join_child(one);
    join_child(two);
    pass();
}
