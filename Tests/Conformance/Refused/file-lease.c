// A lease on a file is broken when another process opens the file: fcntl(2) F_SETLEASE.
#include "conformance.h"

static char *path;
static volatile sig_atomic_t broken;
static void on_break(int unused) { broken = 1; }

static void body(void *unused)
{
    child_ready();
    wait_go();
    close(must(open(path, O_WRONLY)));
}

int main(void)
{
    path = scratch("file");
    write_file(path, "x", 1);
    pid_t child = spawn(body, NULL);
    signal(SIGIO, on_break);
    int fd = must(open(path, O_RDONLY | O_CLOEXEC));
    if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0) skip("F_SETLEASE: %s", strerror(errno));
    ready();
    while (!broken && !is_go()) sleep_ms(2);
    // Before go nobody opens the file, but the child's go may come a moment before ours.
    check(is_go(), "the lease was broken before go");
    await(broken, "the lease was not broken");
    must(fcntl(fd, F_SETLEASE, F_UNLCK));
    join_child(child);
    pass();
}
