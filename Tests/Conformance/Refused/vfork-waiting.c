// Must be refused: a parent suspended in vfork by a child that does not end: vfork(2), ptrace(2).
// The kernel lets nobody stop such a parent, so its registers cannot be read. (Where the child soon
// executes a program, as in spawn-loop, a checkpoint has to wait for that moment instead.)
#include "conformance.h"

static void body(void *unused)
{
    child_ready();
    pid_t pid = vfork();
    if (pid == 0) {
        // Only system calls here: memory is the parent's.
        struct timespec t = {0, 2000000};
        while (access(go_path, F_OK) != 0) nanosleep(&t, NULL);
        execl("/bin/sh", "sh", "-c", "exit 21", NULL);
        _exit(1);
    }
    check(pid > 0, "vfork: %s", strerror(errno));
    check(is_go(), "the parent went on before the child");
    int status;
    check_equal("waitpid", waitpid(pid, &status, 0), pid);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 21, "wait status 0x%x", status);
}

int main(void)
{
    pid_t child = spawn(body, NULL);
    await(process_state(child) == 'D' || process_state(child) == 'S', "the child runs");
    sleep_ms(10);
    ready_and_wait();
    join_child(child);
    pass();
}
