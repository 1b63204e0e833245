// A session whose leader has exited goes on in its other process: setsid(2), credentials(7).
#include "conformance.h"

static char *note;

static void leader(void *unused)
{
    pid_t session = must(setsid());
    if (must(fork()) == 0) {
        parent_pid = 0; // init takes it over
        while (getppid() == session) sleep_ms(1);
        child_ready();
        double given_up = now() + 120;
        while (!is_go() && now() < given_up) sleep_ms(2);
        int right = getsid(0) == session && getpgrp() == session;
        write_file(note, right ? "right" : "wrong", 5);
        _exit(0);
    }
    _exit(0);
}

int main(void)
{
    note = scratch("note");
    pid_t session = spawn(leader, NULL);
    reap(session);
    ready_and_wait();
    char text[16];
    await(read_file(note, text, sizeof text) == 5, "the process left in the session is gone");
    check(strcmp(text, "right") == 0, "session or group is no longer %d", session);
    await(kill(-session, 0) == -1, "the process left in the session does not end");
    pass();
}
