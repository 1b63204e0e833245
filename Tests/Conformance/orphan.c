// A process whose parent has exited lives on under init, with its session and group: fork(2).
#include "conformance.h"

static char *note;

static void middle(void *orphan_pid)
{
    pid_t self = getpid();
    pid_t pid = must(fork());
    if (pid == 0) {
        parent_pid = 0; // init takes it over
        must(setpgid(0, 0));
        while (getppid() == self) sleep_ms(1);
        *(pid_t *)orphan_pid = getpid();
        child_ready();
        double given_up = now() + 120;
        while (!is_go() && now() < given_up) sleep_ms(2);
        sleep_ms(200); // the parent looks at it first
        int right = getsid(0) == getsid(top_pid) && getpgrp() == getpid();
        write_file(note, right ? "right" : "wrong", 5);
        _exit(0);
    }
    _exit(0);
}

int main(void)
{
    note = scratch("note");
    pid_t *orphan = map_shared(PAGE);
    reap(spawn(middle, orphan));
    ready_and_wait();
    check_equal("orphan's session", getsid(*orphan), getsid(0));
    check_equal("orphan's group", getpgid(*orphan), *orphan);
    char text[16];
    await(read_file(note, text, sizeof text) == 5, "the orphan is gone");
    check(strcmp(text, "right") == 0, "the orphan's session or group changed");
    await(process_state(*orphan) == 0 || process_state(*orphan) == 'Z', "the orphan does not end");
    pass();
}
