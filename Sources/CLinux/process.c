// SPDX-License-Identifier: Apache-2.0
// C because: these functions run in a cloned child of a multi-threaded process. Only
// async-signal-safe calls are allowed there, and the Swift runtime is not one of them.
#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

long fermata_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

__asm__(".text\n.globl fermata_syscall_instruction\n.balign 16\n"
        "fermata_syscall_instruction:\n syscall\n int3\n nop\n");

static long clone3_raw(struct fermata_clone_args *arguments) {
    return fermata_syscall(SYS_clone3, (long)arguments, sizeof *arguments, 0, 0, 0, 0);
}

static void reset_signals(void) {
    struct sigaction deflt = {.sa_handler = SIG_DFL};
    for (int s = 1; s < 65; s++) sigaction(s, &deflt, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t fermata_spawn_stub(uint64_t flags, const pid_t *tids, size_t count) {
    struct fermata_clone_args a = {.flags = flags, .exit_signal = SIGCHLD,
                                   .set_tid = count ? (uint64_t)(uintptr_t)tids : 0,
                                   .set_tid_size = count};
    long pid = clone3_raw(&a);
    if (pid == 0)
        for (;;) fermata_syscall(SYS_pause, 0, 0, 0, 0, 0, 0);
    return (pid_t)pid;
}

pid_t fermata_launch(const char *file, char *const argv[], char *const envp[],
                     const int descriptors[3], int terminal, const int gate[2]) {
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    struct fermata_clone_args a = {.exit_signal = SIGCHLD};
    long pid = clone3_raw(&a);
    if (pid != 0) {
        sigprocmask(SIG_SETMASK, &old, NULL);
        return (pid_t)pid;
    }
    setsid();
    if (terminal >= 0) ioctl(terminal, TIOCSCTTY, 0);
    // Moved out of the way first: a wanted descriptor may itself be 0, 1 or 2.
    int moved[3];
    for (int i = 0; i < 3; i++) moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++)
        if (moved[i] >= 0) dup2(moved[i], i);
        else close(i);
    close(gate[1]);  // so that the parent's end is seen
    char byte;
    ssize_t n;
    while ((n = read(gate[0], &byte, 1)) < 0 && errno == EINTR) {}
    if (n != 1) _exit(126);
    reset_signals();
    execvpe(file, argv, envp);
    int error = errno;
    dprintf(2, "fermata: cannot run %s: %s\n", file, strerror(error));
    _exit(error == ENOENT ? 127 : 126);
}

// MARK: the pod's first process

static void report(int channel, int kind, int pid, int status) {
    struct fermata_pod_report r = {kind, pid, status, 0};
    send(channel, &r, sizeof r, MSG_NOSIGNAL);
}

/// A fresh /proc for the pid namespace and a devpts of the pod's own, so that restored
/// pseudo-terminals keep their numbers.
static const char *mount_pod(void) {
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) return "mount / private";
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
        return "mount /proc";
    if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=620"))
        return "mount /dev/pts";
    if (mount("/dev/pts/ptmx", "/dev/ptmx", NULL, MS_BIND, NULL)) return "bind /dev/ptmx";
    return NULL;
}

static void nothing(int signal) { (void)signal; }

static _Noreturn void pod_init(int channel, int transfer, const char *hostname) {
    prctl(PR_SET_NAME, "fermata-pod");
    setsid();
    reset_signals();
    // A SIGCHLD with the default action would not end ppoll, one with SIG_IGN would reap by
    // itself and lose the status.
    struct sigaction wake = {.sa_handler = nothing};
    sigaction(SIGCHLD, &wake, NULL);
    sigset_t mask;
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    // Both are above 4: the supervisor makes sure of that.
    dup2(channel, 3);
    dup2(transfer, 4);
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(null, i);
    fermata_syscall(SYS_close_range, 5, ~0U, 0, 0, 0, 0);
    channel = 3;
    const char *failed = mount_pod();
    if (!failed && hostname && *hostname && sethostname(hostname, strlen(hostname)))
        failed = "sethostname";
    report(channel, failed ? FERMATA_POD_FAILED : FERMATA_POD_READY, getpid(), errno);
    if (failed) _exit(1);
    int pages_pending = 0, supervised = 1;
    for (;;) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
            if (supervised) report(channel, FERMATA_POD_EXITED, pid, status);
        if (pid < 0 && errno == ECHILD && !supervised) _exit(0);
        struct pollfd p = {.fd = supervised ? channel : -1, .events = POLLIN};
        // SIGCHLD is unblocked only inside ppoll: none can slip in between.
        sigset_t open_mask = mask;
        sigdelset(&open_mask, SIGCHLD);
        struct timespec limit = {1, 0};
        if (ppoll(&p, 1, &limit, &open_mask) <= 0 || !p.revents) continue;
        char byte = 0;
        int fds[64], count = 0;
        long n = fermata_receive_descriptors(channel, &byte, fds, 64, &count);
        if (n <= 0) {
            // Nobody serves the missing pages any more: end before anything reads zeroes.
            if (pages_pending) _exit(1);
            supervised = 0;
            close(channel);
            continue;
        }
        if (byte == 'k') _exit(0);
        if (byte == 'u') pages_pending = 1; // the descriptors just stay open
        if (byte == 'r') {                  // all pages resident: let go of them
            pages_pending = 0;
            fermata_syscall(SYS_close_range, 4, ~0U, 0, 0, 0, 0);
        }
    }
}

pid_t fermata_spawn_pod_init(uint64_t flags, int channel, int transfer, const char *hostname) {
    struct fermata_clone_args a = {.flags = flags, .exit_signal = SIGCHLD};
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    long pid = clone3_raw(&a);
    if (pid == 0) pod_init(channel, transfer, hostname);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return (pid_t)pid;
}

// MARK: socket lock

long fermata_lock_socket(int socket) {
    // One BPF instruction, "ret #0": every arriving segment is dropped (packet(7), socket(7)).
    struct sock_filter drop = {BPF_RET | BPF_K, 0, 0, 0};
    struct sock_fprog program = {1, &drop};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) ? -errno : 0;
}

long fermata_unlock_socket(int socket, int reuse) {
    int off = -1, zero = 0; // TCP_REPAIR_OFF_NO_WP: no window probe, nothing is sent
    setsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &off, sizeof off);
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    return setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero) ? -errno : 0;
}

pid_t fermata_spawn_unlock_guard(int channel) {
    struct fermata_clone_args a = {.exit_signal = 0};
    long pid = clone3_raw(&a);
    if (pid != 0) return (pid_t)pid;
    prctl(PR_SET_NAME, "fermata-guard");
    setsid(); // a signal to the terminal's foreground group must not reach it
    dup3(channel, 3, O_CLOEXEC);
    fermata_syscall(SYS_close_range, 0, 2, 0, 0, 0, 0);
    fermata_syscall(SYS_close_range, 4, ~0U, 0, 0, 0, 0);
    static char reuse[65536]; // by descriptor
    for (;;) {
        char byte = 0;
        int fds[64], count = 0;
        long n = fermata_receive_descriptors(3, &byte, fds, 64, &count); // kept open
        for (int i = 0; i < count; i++) {
            int value = 0;
            socklen_t length = sizeof value;
            getsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &value, &length);
            if (fds[i] < 65536) reuse[fds[i]] = (char)value;
        }
        if (n > 0 && byte == 'd') _exit(0); // the agent unlocked them itself
        if (n > 0) {
            send(3, "k", 1, MSG_NOSIGNAL);
            continue;
        }
        for (int fd = 4; fd < 65536; fd++)
            if (fermata_unlock_socket(fd, reuse[fd]) == -EBADF) break;
        _exit(0);
    }
}
