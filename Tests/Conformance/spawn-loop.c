// Programs are started all the time while the job is checkpointed: posix_spawn(3), vfork(2).
#include "conformance.h"
#include <spawn.h>

extern char **environ;

int main(void)
{
    long rounds = 0;
    ready();
    do {
        pid_t pid;
        char *arguments[] = {"true", NULL};
        int status, error = posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ);
        check(error == 0, "posix_spawn in round %ld: %s", rounds, strerror(error));
        pid_t got = waitpid(pid, &status, 0);
        check(got == pid, "waitpid in round %ld: %d %s", rounds, got, strerror(errno));
        check(status == 0, "round %ld: wait status 0x%x", rounds, status);
        rounds++;
    } while (!is_go());
    check(wait(NULL) == -1 && errno == ECHILD, "a child too many");
    pass();
}
