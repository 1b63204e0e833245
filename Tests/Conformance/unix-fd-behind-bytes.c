// Descriptors in flight in a stream that has plain bytes before, between and behind them, read with
// read(2), which would throw a descriptor away that came too early: unix(7) SCM_RIGHTS.
#include "conformance.h"

static void send_fd(int s, const char *bytes, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec data = {(void *)bytes, strlen(bytes)};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    must(sendmsg(s, &m, 0));
    close(fd);
}

static int receive_fd(int s, const char *bytes)
{
    char control[CMSG_SPACE(sizeof(int))], buffer[64];
    struct iovec data = {buffer, strlen(bytes)};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    check_equal("bytes with the descriptor", recvmsg(s, &m, MSG_DONTWAIT), (long)strlen(bytes));
    check(memcmp(buffer, bytes, strlen(bytes)) == 0, "other bytes came with the descriptor");
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    check(c && c->cmsg_type == SCM_RIGHTS, "the message has no descriptor");
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static void plain(int s, const char *bytes)
{
    char buffer[64];
    check_equal("plain bytes", read(s, buffer, strlen(bytes)), (long)strlen(bytes));
    check(memcmp(buffer, bytes, strlen(bytes)) == 0, "other plain bytes");
}

int main(void)
{
    int s[2], first[2], second[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    must(pipe(first));
    must(pipe(second));
    write_pattern(first[1], 100, 1);
    write_pattern(second[1], 200, 2);
    must(write(s[0], "one", 3));
    must(write(s[0], "two2", 4));
    send_fd(s[0], "F", first[0]);
    must(write(s[0], "between", 7));
    send_fd(s[0], "second", second[0]);
    must(write(s[0], "tail", 4));
    ready_and_wait();
    plain(s[1], "one");
    plain(s[1], "two2");
    read_pattern("first pipe", receive_fd(s[1], "F"), 100, 1);
    plain(s[1], "between");
    read_pattern("second pipe", receive_fd(s[1], "second"), 200, 2);
    plain(s[1], "tail");
    pass();
}
