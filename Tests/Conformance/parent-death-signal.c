// A child is told when its parent dies: prctl(2) PR_SET_PDEATHSIG.
#include "conformance.h"

static char *note;
static volatile sig_atomic_t told;
static void on_signal(int unused) { told = 1; }

static void orphan(void *unused)
{
    int number = 0;
    signal(SIGUSR1, on_signal);
    must(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    child_ready();
    wait_go();
    int same = prctl(PR_GET_PDEATHSIG, &number) == 0 && number == SIGUSR1;
    double given_up = now() + 15;
    while (!told && now() < given_up) sleep_ms(1);
    write_file(note, told && same ? "yes" : "no.", 3);
}

static void middle(void *unused)
{
    spawn(orphan, NULL);
    child_ready();
    while (1) pause();
}

int main(void)
{
    note = scratch("note");
    pid_t child = spawn(middle, NULL);
    ready_and_wait();
    sleep_ms(50);
    must(kill(child, SIGKILL));
    reap(child);
    char text[8];
    await(read_file(note, text, sizeof text) == 3, "nothing is heard of the orphan");
    check(strcmp(text, "yes") == 0, "the orphan was not told of its parent's death");
    pass();
}
