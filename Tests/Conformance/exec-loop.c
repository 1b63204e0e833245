// A process that replaces itself all the time: execve(2).
#include "conformance.h"

extern char **environ;

// `wire`: where the parent hears that it has begun; -1 from then on.
static void again(long count, pid_t parent, int wire)
{
    char number[32], above[32], end[32];
    snprintf(number, sizeof number, "%ld", count);
    snprintf(above, sizeof above, "%d", parent);
    snprintf(end, sizeof end, "%d", wire);
    execl("/proc/self/exe", "exec-loop", number, above, end, NULL);
    fail("execl in round %ld: %s", count, strerror(errno));
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        long count = atol(argv[1]);
        pid_t parent = atoi(argv[2]);
        int wire = atoi(argv[3]);
        if (getppid() != parent) _exit(1);
        if (count == 2) {
            if (write(wire, "", 1) != 1) _exit(2);
            close(wire);
            wire = -1;
        }
        if (is_go()) _exit(count > 1 ? 0 : 3);
        sleep_ms(1);
        again(count + 1, parent, wire);
    }
    int ends[2];
    char byte;
    must(pipe(ends));
    pid_t pid = must(fork());
    if (pid == 0) {
        close(ends[0]);
        again(0, getppid(), ends[1]);
    }
    close(ends[1]);
    children[child_count++] = pid;
    if (read(ends[0], &byte, 1) != 1) fail("the child has not begun");
    close(ends[0]);
    ready_and_wait();
    join_child(pid);
    pass();
}
