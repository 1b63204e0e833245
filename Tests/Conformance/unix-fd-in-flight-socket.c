// A socket in flight, which has bytes and another descriptor waiting in it: unix(7) SCM_RIGHTS.
#include "conformance.h"

static void send_fd(int s, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec data = {"x", 1};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    must(sendmsg(s, &m, 0));
    close(fd);
}

static int receive_fd(int s)
{
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec data = {&byte, 1};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    check_equal("bytes with the descriptor", recvmsg(s, &m, MSG_DONTWAIT), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    check(c && c->cmsg_type == SCM_RIGHTS, "the message has no descriptor");
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int main(void)
{
    int outer[2], inner[2], p[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, outer));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
    must(pipe(p));
    write_pattern(p[1], 300, 1);
    send_fd(inner[0], p[0]);
    send_fd(outer[0], inner[1]);
    ready_and_wait();
    int socket_in_flight = receive_fd(outer[1]);
    int pipe_in_flight = receive_fd(socket_in_flight);
    read_pattern("bytes in the pipe in flight", pipe_in_flight, 300, 1);
    check_exchange("socket in flight", socket_in_flight, inner[0]);
    pass();
}
