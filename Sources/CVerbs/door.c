// SPDX-License-Identifier: Apache-2.0
// C because: a descriptor that comes over a socket is found with macros (cmsg(3)).
#define _GNU_SOURCE
#include "CVerbs.h"
#include <string.h>
#include <sys/un.h>

int fabric_knock(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) return -errno;
    int result = -ECONNREFUSED, r;
    do r = connect(s, (struct sockaddr *)&address, sizeof address); while (r < 0 && errno == EINTR);
    if (r < 0) {
        result = -errno;
    } else {
        char byte, control[CMSG_SPACE(sizeof(int))];
        struct iovec v = {&byte, 1};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n;
        do n = recvmsg(s, &m, MSG_CMSG_CLOEXEC); while (n < 0 && errno == EINTR);
        struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(&result, CMSG_DATA(c), sizeof result);
    }
    close(s);
    return result;
}
