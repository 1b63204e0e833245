// A descriptor of a child: signals through it, and readable when the child ends: pidfd_open(2).
#include "conformance.h"
#include <sys/pidfd.h>

static volatile sig_atomic_t value;
static void on_signal(int number, siginfo_t *info, void *unused) { value = info->si_value.sival_int; }

static void body(void *unused)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    must(sigaction(SIGUSR1, &action, NULL));
    child_ready();
    while (!value) {
        if (getppid() != parent_pid) _exit(1);
        sleep_ms(2);
    }
    _exit(value);
}

int main(void)
{
    pid_t child = spawn(body, NULL), zombie = must(fork());
    if (zombie == 0) _exit(3);
    int fd = must(pidfd_open(child, 0)), dead = must(pidfd_open(zombie, 0)), own = must(pidfd_open(getpid(), 0));
    struct pollfd p = {.fd = dead, .events = POLLIN};
    check_equal("poll of the dead child", poll(&p, 1, 10000), 1);
    ready_and_wait();
    check_nothing_to_read("the living child", fd);
    check_equal("poll of the dead child afterwards", poll(&p, 1, 0), 1);
    siginfo_t info = {0}, send = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    must(waitid(P_PIDFD, (id_t)dead, &info, WEXITED));
    check_equal("status of the dead child", info.si_status, 3);
    must(pidfd_send_signal(own, 0, NULL, 0));
    send.si_value.sival_int = 44;
    send.si_pid = getpid();
    must(pidfd_send_signal(fd, SIGUSR1, &send, 0));
    p = (struct pollfd){.fd = fd, .events = POLLIN};
    check_equal("poll of the child that ends", poll(&p, 1, 10000), 1);
    int status = reap(child);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 44, "wait status 0x%x", status);
    check(pidfd_send_signal(fd, 0, NULL, 0) == -1 && errno == ESRCH, "the reaped child takes signals");
    pass();
}
