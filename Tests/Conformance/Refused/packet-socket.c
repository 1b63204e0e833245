// Must be refused: a socket on the link layer: packet(7).
#include "conformance.h"
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>

int main(void)
{
    int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    if (s < 0) skip("AF_PACKET: %s", strerror(errno));
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_LOOP)};
    address.sll_ifindex = (int)if_nametoindex("lo");
    must(bind(s, (struct sockaddr *)&address, sizeof address));
    struct sockaddr_ll after;
    socklen_t size = sizeof after;
    ready_and_wait();
    must(getsockname(s, (struct sockaddr *)&after, &size));
    check_equal("protocol", after.sll_protocol, address.sll_protocol);
    pass();
}
