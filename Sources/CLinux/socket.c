// SPDX-License-Identifier: Apache-2.0
// C because: control messages are walked with macros (cmsg(3)).
#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { most_descriptors = 253 }; // SCM_MAX_FD, include/net/scm.h
typedef char control_buffer[CMSG_SPACE(sizeof(int) * most_descriptors) + 256];

// Adds SCM_RIGHTS to a message that has no control data yet. `count`: 1 to most_descriptors.
static void attach(struct msghdr *m, control_buffer control, const int *descriptors, int count) {
    memset(control, 0, CMSG_SPACE(sizeof(int) * count));
    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), descriptors, sizeof(int) * count);
}

// Takes the descriptors out of a received message; what exceeds `capacity` is closed.
static void detach(struct msghdr *m, int *descriptors, int capacity, int *count) {
    *count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        int k = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < k; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (*count < capacity) descriptors[(*count)++] = fd;
            else close(fd);
        }
    }
}

long fermata_send_descriptors(int socket, char byte, const int *descriptors, int count) {
    control_buffer control;
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (count > most_descriptors) return -EINVAL;
    if (count > 0) attach(&m, control, descriptors, count);
    return sendmsg(socket, &m, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

long fermata_receive_descriptors(int socket, char *byte, int *descriptors, int capacity,
                                 int *count) {
    control_buffer control;
    struct iovec v = {byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n;
    do n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC); while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    detach(&m, descriptors, capacity, count);
    return n;
}

long fermata_peek_message(int socket, void *data, size_t capacity, void *address,
                          unsigned *address_length, int *descriptors, int descriptor_capacity,
                          int *count) {
    control_buffer control;
    struct iovec v = {data, capacity};
    struct msghdr m = {.msg_name = address, .msg_namelen = address ? *address_length : 0,
                       .msg_iov = &v, .msg_iovlen = 1};
    if (descriptors) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
    }
    ssize_t n = recvmsg(socket, &m, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) return -errno;
    if (address) *address_length = m.msg_namelen;
    if (descriptors) detach(&m, descriptors, descriptor_capacity, count);
    return n;
}

long fermata_send_message(int socket, const void *data, size_t length, const int *descriptors,
                          int count, const void *address, unsigned address_length) {
    control_buffer control;
    if (count > most_descriptors) return -EINVAL;
    struct iovec v = {(void *)data, length};
    struct msghdr m = {.msg_name = address_length ? (void *)address : NULL,
                       .msg_namelen = address_length, .msg_iov = &v, .msg_iovlen = 1};
    if (count > 0) attach(&m, control, descriptors, count);
    ssize_t n = sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}
