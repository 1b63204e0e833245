// The program's own file, command line and environment as the kernel tells them: proc(5).
#include "conformance.h"

static ssize_t slurp(const char *path, char *text, size_t size)
{
    ssize_t n = read_file(path, text, size);
    check(n >= 0, "%s: %s", path, strerror(errno));
    return n;
}

int main(int argc, char **argv)
{
    static char exe[4096], exe_after[4096], cmdline[65536], environ_[65536], after[65536];
    must(readlink("/proc/self/exe", exe, sizeof exe - 1));
    ssize_t n = slurp("/proc/self/cmdline", cmdline, sizeof cmdline);
    ssize_t m = slurp("/proc/self/environ", environ_, sizeof environ_);
    ready_and_wait();
    must(readlink("/proc/self/exe", exe_after, sizeof exe_after - 1));
    check(strcmp(exe, exe_after) == 0, "exe: expected %s, got %s", exe, exe_after);
    check_equal("length of the command line", slurp("/proc/self/cmdline", after, sizeof after), n);
    check_bytes("command line", after, cmdline, (size_t)n);
    check_equal("length of the environment", slurp("/proc/self/environ", after, sizeof after), m);
    check_bytes("environment", after, environ_, (size_t)m);
    argv[0][0] = '#'; // the kernel shows what is in memory
    slurp("/proc/self/cmdline", after, sizeof after);
    check_equal("changed command line", after[0], '#');
    pass();
}
