// Right after the restart: fork, execve, system, popen, vfork: fork(2), execve(2), system(3).
#include "conformance.h"

int main(void)
{
    ready_and_wait();
    for (int i = 0; i < 5; i++) {
        pid_t pid = must(fork());
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", "exit 5", NULL);
            _exit(99);
        }
        check(pid != getpid(), "the child has our pid");
        int status;
        check_equal("waitpid", waitpid(pid, &status, 0), pid);
        check(WIFEXITED(status) && WEXITSTATUS(status) == 5, "wait status 0x%x", status);
    }
    int status = system("exit 6");
    check(WIFEXITED(status) && WEXITSTATUS(status) == 6, "system: 0x%x", status);
    char text[64] = "";
    FILE *f = popen("echo $PPID", "r");
    check(f && fgets(text, sizeof text, f), "popen: %s", strerror(errno));
    check_equal("parent that the shell sees", atoi(text), getpid());
    pclose(f);
    pid_t pid = vfork();
    if (pid == 0) _exit(7);
    check_equal("waitpid", waitpid(pid, &status, 0), pid);
    check_equal("exit status", WEXITSTATUS(status), 7);
    pass();
}
