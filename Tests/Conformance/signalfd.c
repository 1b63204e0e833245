// A descriptor for signals, with one pending: signalfd(2).
#include "conformance.h"
#include <sys/signalfd.h>

int main(void)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGCHLD);
    sigset_t blocked = mask;
    sigaddset(&blocked, SIGUSR2);
    must(sigprocmask(SIG_BLOCK, &blocked, NULL));
    int fd = must(signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
    must(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 99}));
    must(kill(getpid(), SIGUSR2)); // not for this descriptor
    ready_and_wait();
    struct signalfd_siginfo info;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    check_equal("poll", poll(&p, 1, 0), 1);
    check_equal("read", read(fd, &info, sizeof info), sizeof info);
    check_equal("signal", info.ssi_signo, SIGUSR1);
    check_equal("value", info.ssi_int, 99);
    check_equal("sender", info.ssi_pid, getpid());
    check(read(fd, &info, sizeof info) == -1 && errno == EAGAIN, "one more signal: %d", info.ssi_signo);
    pid_t child = must(fork());
    if (child == 0) _exit(9);
    await(read(fd, &info, sizeof info) == sizeof info, "no SIGCHLD through the descriptor");
    check_equal("child", info.ssi_pid, child);
    check_equal("status", info.ssi_status, 9);
    must(waitpid(child, NULL, 0));
    pass();
}
