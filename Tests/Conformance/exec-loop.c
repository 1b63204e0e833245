// A process that replaces itself all the time: execve(2).
#include "conformance.h"

extern char **environ;

static void again(long count, pid_t parent)
{
    char number[32], above[32];
    snprintf(number, sizeof number, "%ld", count);
    snprintf(above, sizeof above, "%d", parent);
    execl("/proc/self/exe", "exec-loop", number, above, NULL);
    fail("execl in round %ld: %s", count, strerror(errno));
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        long count = atol(argv[1]);
        pid_t parent = atoi(argv[2]);
        if (getppid() != parent) _exit(1);
        if (is_go()) _exit(count > 0 ? 0 : 1);
        sleep_ms(1);
        again(count + 1, parent);
    }
    pid_t pid = must(fork());
    if (pid == 0) again(0, getppid());
    children[child_count++] = pid;
    ready_and_wait();
    join_child(pid);
    pass();
}
