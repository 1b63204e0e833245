// SPDX-License-Identifier: Apache-2.0
// C because: XXH3 is a header of static inline functions chosen by macros, ioctl numbers are
// macros, and XGETBV needs inline assembly.
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "CLinux.h"
#include <errno.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

uint64_t fermata_xxh3(const void *data, size_t length) { return XXH3_64bits(data, length); }

int fermata_is_zero(const void *page, size_t length) {
    const uint64_t *word = page;
    for (size_t i = 0; i < length / 8; i += 8) {
        if (word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] | word[i + 5]
            | word[i + 6] | word[i + 7])
            return 0;
    }
    return 1;
}

static long control(int fd, unsigned long request, void *argument) {
    return fermata_syscall(SYS_ioctl, fd, (long)request, (long)argument, 0, 0, 0);
}

long fermata_pagemap_scan(int fd, struct fermata_pm_scan_arg *argument) {
    argument->size = sizeof *argument;
    return control(fd, _IOWR('f', 16, struct fermata_pm_scan_arg), argument);
}

long fermata_uffd_api(int fd, int with_fork_events) {
    struct uffdio_api api = {.api = UFFD_API,
        .features = UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE
            | UFFD_FEATURE_EVENT_UNMAP | (with_fork_events ? UFFD_FEATURE_EVENT_FORK : 0)};
    return control(fd, UFFDIO_API, &api);
}

long fermata_uffd_register_missing(int fd, uint64_t start, uint64_t length) {
    struct uffdio_register r = {.range = {start, length}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    return control(fd, UFFDIO_REGISTER, &r);
}

long fermata_uffd_unregister(int fd, uint64_t start, uint64_t length) {
    struct uffdio_range r = {start, length};
    return control(fd, UFFDIO_UNREGISTER, &r);
}

long fermata_uffd_copy(int fd, uint64_t destination, const void *source, uint64_t length) {
    struct uffdio_copy c = {.dst = destination, .src = (uint64_t)(uintptr_t)source, .len = length};
    long result = control(fd, UFFDIO_COPY, &c);
    if (result < 0) return c.copy > 0 ? (long)c.copy : result;
    return (long)c.copy;
}

long fermata_uffd_zero(int fd, uint64_t destination, uint64_t length) {
    struct uffdio_zeropage z = {.range = {destination, length}};
    long result = control(fd, UFFDIO_ZEROPAGE, &z);
    if (result < 0) return z.zeropage > 0 ? (long)z.zeropage : result;
    return (long)z.zeropage;
}

long fermata_uffd_wake(int fd, uint64_t start, uint64_t length) {
    struct uffdio_range r = {start, length};
    return control(fd, UFFDIO_WAKE, &r);
}

long fermata_uffd_read(int fd, struct fermata_uffd_message *message) {
    struct uffd_msg m;
    long n;
    // The kernel looks for signals before it looks at O_NONBLOCK.
    do n = fermata_syscall(SYS_read, fd, (long)&m, sizeof m, 0, 0, 0); while (n == -EINTR);
    if (n == -EAGAIN) return 0;
    if (n < 0) return n;
    if (n != sizeof m) return -EIO;
    memset(message, 0, sizeof *message);
    message->event = m.event;
    switch (m.event) {
    case UFFD_EVENT_PAGEFAULT: message->a = m.arg.pagefault.address; break;
    case UFFD_EVENT_FORK: message->fork_descriptor = m.arg.fork.ufd; break;
    case UFFD_EVENT_REMAP:
        message->a = m.arg.remap.from; message->b = m.arg.remap.to; message->c = m.arg.remap.len;
        break;
    default: message->a = m.arg.remove.start; message->b = m.arg.remove.end; break;
    }
    return 1;
}

uint64_t fermata_xcr0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint64_t fermata_filesystem_type(int fd) {
    struct statfs s;
    return fstatfs(fd, &s) ? 0 : (uint64_t)s.f_type;
}

unsigned fermata_major(uint64_t device) { return major(device); }
unsigned fermata_minor(uint64_t device) { return minor(device); }
