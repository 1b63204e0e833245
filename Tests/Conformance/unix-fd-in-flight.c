// Descriptors sent over a socket and not yet received: unix(7) SCM_RIGHTS.
#include "conformance.h"

static void send_fds(int s, const char *text, const int *fds, size_t count)
{
    char control[CMSG_SPACE(8 * sizeof(int))] = {0};
    struct iovec data = {(void *)text, strlen(text)};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    must(sendmsg(s, &m, 0));
}

static void receive_fds(int s, const char *text, int *fds, size_t count)
{
    char control[CMSG_SPACE(8 * sizeof(int))], got[64] = "";
    struct iovec data = {got, sizeof got};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    check_equal("bytes with the descriptors", recvmsg(s, &m, MSG_DONTWAIT), strlen(text));
    check(strcmp(got, text) == 0, "expected %s, got %s", text, got);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    check(c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(count * sizeof(int)),
          "the message has no %zu descriptors", count);
    memcpy(fds, CMSG_DATA(c), count * sizeof(int));
}

int main(void)
{
    int s[2], p[2], got[2];
    char *path = scratch("file");
    must(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
    must(pipe(p));
    int file = must(open(path, O_RDWR | O_CREAT, 0600));
    write_pattern(file, 1000, 1);
    must(lseek(file, 100, SEEK_SET));
    write_pattern(p[1], 500, 2);
    must(send(s[0], "before", 6, 0));
    send_fds(s[0], "two of them", (int[]){p[0], file}, 2);
    send_fds(s[0], "one", &p[0], 1);
    must(send(s[0], "after", 5, 0));
    close(p[0]);
    close(file); // nobody but the message has it open now
    ready_and_wait();
    char text[16];
    check_equal("message before", recv(s[1], text, sizeof text, MSG_DONTWAIT), 6);
    receive_fds(s[1], "two of them", got, 2);
    read_pattern("pipe in flight", got[0], 500, 2);
    check_equal("offset of the file in flight", lseek(got[1], 0, SEEK_CUR), 100);
    must(lseek(got[1], 0, SEEK_SET));
    read_pattern("file in flight", got[1], 1000, 1);
    receive_fds(s[1], "one", got, 1);
    write_pattern(p[1], 50, 3);
    read_pattern("the same pipe once more", got[0], 50, 3);
    check_equal("message after", recv(s[1], text, sizeof text, MSG_DONTWAIT), 5);
    pass();
}
