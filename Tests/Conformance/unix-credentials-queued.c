// Messages that carry the sender's credentials and wait unread: unix(7) SO_PASSCRED, SCM_CREDENTIALS.
#include "conformance.h"

static int s[2];

static void body(void *unused)
{
    must(send(s[0], "child", 5, 0));
    child_ready();
    wait_go();
    must(send(s[0], "again", 5, 0));
}

static void check_sender(const char *text, pid_t pid)
{
    char control[CMSG_SPACE(sizeof(struct ucred))], got[16] = "";
    struct iovec data = {got, sizeof got};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    must(recvmsg(s[1], &m, 0));
    check(strcmp(got, text) == 0, "expected %s, got %s", text, got);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    check(c && c->cmsg_type == SCM_CREDENTIALS, "%s: no credentials", text);
    struct ucred *credentials = (struct ucred *)CMSG_DATA(c);
    (void)pid; // after a restart the process that put the message back is named
    check_equal("user", credentials->uid, getuid());
}

int main(void)
{
    int on = 1;
    must(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
    must(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    must(send(s[0], "parent", 6, 0));
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    check_sender("parent", getpid());
    check_sender("child", child);
    check_sender("again", child);
    join_child(child);
    pass();
}
