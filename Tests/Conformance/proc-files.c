// Files and directories of /proc/self that are open: proc(5).
#include "conformance.h"

int main(void)
{
    char text[4096], name[64], own[32];
    int maps = must(open("/proc/self/maps", O_RDONLY)), status = must(open("/proc/self/status", O_RDONLY));
    int folder = must(open("/proc/self", O_RDONLY | O_DIRECTORY));
    DIR *fds = opendir("/proc/self/fd");
    check(fds != NULL, "/proc/self/fd: %s", strerror(errno));
    int p[2];
    must(pipe(p));
    ready_and_wait();
    unsigned long start = 0, end = 0;
    ssize_t n = must(read(maps, text, sizeof text - 1));
    text[n > 0 ? n : 0] = 0;
    check(n > 0 && sscanf(text, "%lx-%lx", &start, &end) == 2 && start < end, "maps: %s", text);
    n = must(pread(status, text, sizeof text - 1, 0));
    text[n] = 0;
    snprintf(own, sizeof own, "\nPid:\t%d\n", getpid());
    check(strstr(text, own) != NULL, "status is that of another process: %s", text);
    int comm = must(openat(folder, "comm", O_RDONLY));
    n = must(read(comm, name, sizeof name - 1));
    name[n] = 0;
    check(strcmp(name, "proc-files\n") == 0, "comm in /proc/self: %s", name);
    int found = 0;
    for (struct dirent *e; (e = readdir(fds));) found += atoi(e->d_name) == p[1] && e->d_name[0] != '.';
    check_equal("a new descriptor in /proc/self/fd", found, 1);
    pass();
}
