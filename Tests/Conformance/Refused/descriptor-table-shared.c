// Two processes with one descriptor table and one working directory: clone(2) CLONE_FILES, CLONE_FS.
#include "conformance.h"

static int p[2];

static int body(void *unused)
{
    while (!is_go()) sleep_ms(2);
    // What the parent opens after go appears here too.
    char byte = 0;
    for (int i = 0; i < 5000 && byte != 'y'; i++) {
        if (read(200, &byte, 1) != 1) sleep_ms(1);
    }
    char path[64] = "";
    int right = byte == 'y' && getcwd(path, sizeof path) && strcmp(path, "/") == 0;
    close(201);
    _exit(right ? 0 : 1);
}

int main(void)
{
    char *stack = map_anonymous(16 * PAGE);
    pid_t child = must(clone(body, stack + 16 * PAGE, CLONE_FILES | CLONE_FS | SIGCHLD, NULL));
    children[child_count++] = child;
    must(pipe2(p, O_NONBLOCK));
    ready_and_wait();
    must(chdir("/"));
    must(dup2(p[0], 201));
    must(write(p[1], "y", 1));
    must(dup2(p[0], 200));
    join_child(child);
    check(fcntl(201, F_GETFD) == -1, "the child closed its own copy only");
    pass();
}
