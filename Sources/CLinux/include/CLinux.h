// SPDX-License-Identifier: Apache-2.0
//
// What Swift's Glibc overlay cannot express: variadic system calls with raw
// results, kernel structures newer than Debian 12's headers, wait-status macros,
// and code that runs in a cloned child of a multi-threaded process, where no
// Swift runtime may be entered. Everything here is prefixed `fermata_`.
#ifndef FERMATA_CLINUX_H
#define FERMATA_CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <signal.h>
#include <termios.h>
#include <poll.h>

/// Raw system call: the result, or -errno.
long fermata_syscall(long number, long a, long b, long c, long d, long e, long f);

/// "syscall; int3" in this image's text: the same address in every cloned stub.
extern const unsigned char fermata_syscall_instruction[];
static inline uint64_t fermata_stub_instruction(void) {
    return (uint64_t)(uintptr_t)fermata_syscall_instruction;
}

// MARK: ptrace(2)

enum {
    FERMATA_PTRACE_CONT = 7, FERMATA_PTRACE_GETREGS = 12, FERMATA_PTRACE_SETREGS = 13,
    FERMATA_PTRACE_DETACH = 17, FERMATA_PTRACE_SYSCALL = 24,
    FERMATA_PTRACE_SETOPTIONS = 0x4200, FERMATA_PTRACE_GETEVENTMSG = 0x4201,
    FERMATA_PTRACE_GETSIGINFO = 0x4202, FERMATA_PTRACE_GETREGSET = 0x4204,
    FERMATA_PTRACE_SETREGSET = 0x4205, FERMATA_PTRACE_SEIZE = 0x4206,
    FERMATA_PTRACE_INTERRUPT = 0x4207, FERMATA_PTRACE_LISTEN = 0x4208,
    FERMATA_PTRACE_PEEKSIGINFO = 0x4209, FERMATA_PTRACE_GETSIGMASK = 0x420a,
    FERMATA_PTRACE_SETSIGMASK = 0x420b, FERMATA_PTRACE_GET_RSEQ_CONFIGURATION = 0x420f,
};
/// struct ptrace_rseq_configuration, Linux 5.13 (include/uapi/linux/ptrace.h).
struct fermata_rseq_configuration { uint64_t pointer; uint32_t size, signature, flags, pad; };

static inline int fermata_wifstopped(int s) { return (s & 0xff) == 0x7f; }
static inline int fermata_wstopsig(int s) { return (s >> 8) & 0xff; }
static inline int fermata_wifexited(int s) { return (s & 0x7f) == 0; }
static inline int fermata_wexitstatus(int s) { return (s >> 8) & 0xff; }
static inline int fermata_wtermsig(int s) { return s & 0x7f; }

// MARK: PAGEMAP_SCAN, Linux 6.7 (Documentation/admin-guide/mm/pagemap.rst)

struct fermata_page_region { uint64_t start, end, categories; };
struct fermata_pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
enum {
    FERMATA_PAGE_IS_FILE = 1 << 2, FERMATA_PAGE_IS_PRESENT = 1 << 3,
    FERMATA_PAGE_IS_SWAPPED = 1 << 4, FERMATA_PAGE_IS_PFNZERO = 1 << 5,
};
long fermata_pagemap_scan(int fd, struct fermata_pm_scan_arg *argument);

// MARK: userfaultfd(2)

enum {
    FERMATA_UFFD_EVENT_PAGEFAULT = 0x12, FERMATA_UFFD_EVENT_FORK = 0x13,
    FERMATA_UFFD_EVENT_REMAP = 0x14, FERMATA_UFFD_EVENT_REMOVE = 0x15,
    FERMATA_UFFD_EVENT_UNMAP = 0x16,
};
struct fermata_uffd_message { uint32_t event; uint32_t fork_descriptor; uint64_t a, b, c; };
/// Enables the API with fork, remap, remove and unmap events.
long fermata_uffd_api(int fd, int with_fork_events);
long fermata_uffd_register_missing(int fd, uint64_t start, uint64_t length);
long fermata_uffd_unregister(int fd, uint64_t start, uint64_t length);
/// Bytes copied, or -errno with nothing copied.
long fermata_uffd_copy(int fd, uint64_t destination, const void *source, uint64_t length);
long fermata_uffd_zero(int fd, uint64_t destination, uint64_t length);
long fermata_uffd_wake(int fd, uint64_t start, uint64_t length);
/// 1 and a message; 0 when none waits; -errno.
long fermata_uffd_read(int fd, struct fermata_uffd_message *message);

// MARK: memory

uint64_t fermata_xxh3(const void *data, size_t length);
int fermata_is_zero(const void *page, size_t length);

// MARK: structures the kernel takes by pointer

struct fermata_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup;
};
struct fermata_mm_map {
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end, auxv; uint32_t auxv_size, exe_fd;
};
struct fermata_sched_attr {
    uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority;
    uint64_t runtime, deadline, period; uint32_t util_min, util_max;
};
struct fermata_tcp_window { uint32_t snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup; };
struct fermata_tcp_option { uint32_t code, value; };

// MARK: processes

/// A fork-like clone3(2) whose child does nothing but pause(2): raw material for a
/// restored process. `tids`: wanted ids, innermost namespace first; may be empty.
pid_t fermata_spawn_stub(uint64_t flags, const pid_t *tids, size_t count);

/// fork+exec for the job's first process: `descriptors[0..<3]` become 0, 1, 2, every other
/// descriptor is closed unless it was inherited (not close-on-exec).
/// `terminal` >= 0 is made the controlling terminal of the new session. The child waits until
/// a byte arrives on the pipe `gate` before exec, and exits if the parent ends without that.
/// Returns its pid; exec failure: exit 127 or 126.
pid_t fermata_launch(const char *file, char *const argv[], char *const envp[],
                     const int descriptors[3], int terminal, const int gate[2]);

/// The first process of a pod: namespaces by `flags` (CLONE_NEW…), /proc and /dev/pts mounted
/// anew, reaps every orphan, and says on `channel` how each of its children ended. Ends, and
/// the kernel with it everything in the pod, when it reads a 'k', or when the other end of
/// the channel closes while it holds userfaultfd descriptors (pages would be lost otherwise).
/// `transfer` stays open as descriptor 4 for the stubs cloned from it.
pid_t fermata_spawn_pod_init(uint64_t flags, int channel, int transfer, const char *hostname);
struct fermata_pod_report { int32_t kind; int32_t pid; int32_t status; int32_t pad; };
enum { FERMATA_POD_READY = 1, FERMATA_POD_EXITED = 2, FERMATA_POD_FAILED = 3 };
/// Sends one byte and optionally descriptors over a Unix socket. Returns 0 or -errno.
long fermata_send_descriptors(int socket, char byte, const int *descriptors, int count);
/// Receives one byte and up to `capacity` descriptors. Bytes read (0 at end), or -errno.
long fermata_receive_descriptors(int socket, char *byte, int *descriptors, int capacity, int *count);

/// One message that waits in `socket`, left there (MSG_PEEK): data, sender's address and
/// descriptors in flight. Length, or -errno (-EAGAIN: none). `address`
/// and `descriptors` may be NULL.
long fermata_peek_message(int socket, void *data, size_t capacity, void *address,
                          unsigned *address_length, int *descriptors, int descriptor_capacity,
                          int *count);
/// Sends one message with descriptors, to `address` when its length is not 0; never blocks.
long fermata_send_message(int socket, const void *data, size_t length, const int *descriptors,
                          int count, const void *address, unsigned address_length);

/// A process that holds copies of the job's TCP sockets while they are locked, and unlocks
/// them if its parent vanishes: see Sources/ProcessSnapshot/Sockets/NetworkLock.swift.
pid_t fermata_spawn_unlock_guard(int channel);
long fermata_lock_socket(int socket);
/// `reuse`: SO_REUSEADDR before the lock; leaving repair mode clears it (net/ipv4/tcp.c).
long fermata_unlock_socket(int socket, int reuse);

/// statfs(2) f_type of the file system that `fd` is on; 0 when unknown.
uint64_t fermata_filesystem_type(int fd);
/// The XCR0 register: which XSAVE state components the kernel enabled (Intel SDM 1, 13.3).
uint64_t fermata_xcr0(void);
unsigned fermata_major(uint64_t device);
unsigned fermata_minor(uint64_t device);
#endif
