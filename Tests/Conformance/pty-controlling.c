// A controlling terminal: session, foreground group, interrupt character: credentials(7), tcgetpgrp(3).
#include "conformance.h"
#include <termios.h>

static int master;
static char name[128];
static volatile sig_atomic_t interrupted;
static void on_interrupt(int unused) { interrupted = 1; }

static void foreground(void *unused)
{
    signal(SIGINT, on_interrupt);
    must(setpgid(0, 0));
    child_ready();
    wait_go();
    await(interrupted, "no SIGINT for the foreground group");
}

static void leader(void *unused)
{
    must(setsid());
    int slave = must(open(name, O_RDWR)); // becomes the controlling terminal
    pid_t group = spawn(foreground, NULL);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGINT, on_interrupt);
    must(tcsetpgrp(slave, group));
    child_ready();
    wait_go();
    check_equal("session of the terminal", tcgetsid(slave), getpid());
    check_equal("foreground group", tcgetpgrp(slave), group);
    int own = open("/dev/tty", O_RDWR);
    check(own >= 0, "/dev/tty: %s", strerror(errno));
    check_equal("session of /dev/tty", tcgetsid(own), getpid());
    must(write(master, "\3", 1)); // control-C
    join_child(group);
    check_equal("interrupts in the background", interrupted, 0);
    must(tcsetpgrp(slave, getpgrp()));
    check_equal("new foreground group", tcgetpgrp(own), getpid());
    signal(SIGHUP, SIG_IGN);
}

int main(void)
{
    master = must(posix_openpt(O_RDWR | O_NOCTTY));
    must(grantpt(master));
    must(unlockpt(master));
    check(ptsname_r(master, name, sizeof name) == 0, "ptsname: %s", strerror(errno));
    pid_t child = spawn(leader, NULL);
    ready_and_wait();
    join_child(child);
    pass();
}
