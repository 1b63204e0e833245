// An idle rtnetlink socket can ask the kernel afterwards: netlink(7), rtnetlink(7).
#include "conformance.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

int main(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK}, after = {0};
    int s = must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    must(bind(s, (struct sockaddr *)&address, sizeof address));
    socklen_t size = sizeof address;
    must(getsockname(s, (struct sockaddr *)&address, &size));
    ready_and_wait();
    must(getsockname(s, (struct sockaddr *)&after, &size));
    check_equal("port id", after.nl_pid, address.nl_pid);
    struct { struct nlmsghdr header; struct ifinfomsg body; } request = {
        {sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 5, 0}, {.ifi_family = AF_UNSPEC}};
    must(send(s, &request, sizeof request, 0));
    char answer[16384];
    ssize_t n = must(recv(s, answer, sizeof answer, 0));
    struct nlmsghdr *first = (struct nlmsghdr *)answer;
    check(n > (ssize_t)sizeof *first && first->nlmsg_type == RTM_NEWLINK && first->nlmsg_seq == 5,
          "answer: %zd bytes, type %d", n, first->nlmsg_type);
    pass();
}
