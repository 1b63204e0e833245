// A child stopped by SIGSTOP stays stopped until SIGCONT: wait(2) WUNTRACED, signal(7).
#include "conformance.h"

static void body(void *counter)
{
    child_ready();
    while (!is_go()) {
        ++*(volatile long *)counter;
        sleep_ms(1);
    }
}

int main(void)
{
    volatile long *counter = map_shared(PAGE);
    int status;
    pid_t child = spawn(body, (void *)counter);
    must(kill(child, SIGSTOP));
    check_equal("stopped child", must(waitpid(child, &status, WUNTRACED)), child);
    check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "wait status 0x%x", status);
    long before = *counter;
    ready_and_wait();
    check(process_state(child) == 'T', "state: expected T, got %c", process_state(child));
    sleep_ms(30);
    check_equal("work done while stopped", *counter, before);
    must(kill(child, SIGCONT));
    do must(waitpid(child, &status, WCONTINUED)); while (WIFSTOPPED(status));
    check(WIFCONTINUED(status) || WIFEXITED(status), "after SIGCONT: wait status 0x%x", status);
    if (WIFCONTINUED(status)) join_child(child);
    else check_equal("exit status", (forget_child(child), WEXITSTATUS(status)), 0);
    pass();
}
