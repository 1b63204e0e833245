// An urgent byte that waits to be read out of band: tcp(7), recv(2) MSG_OOB.
#include "conformance.h"

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    int on = 1, mark = -1;
    must(setsockopt(c.server, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
    must(send(c.client, "abc", 3, 0));
    must(send(c.client, "!", 1, MSG_OOB));
    must(send(c.client, "def", 3, 0));
    int bytes = 0;
    await(ioctl(c.server, FIONREAD, &bytes) == 0 && bytes >= 3, "the bytes do not arrive");
    sleep_ms(20);
    ready_and_wait();
    char text[16] = "";
    // The mark itself may be lost; the bytes in line may not.
    read_all("stream", c.server, text, 7);
    must(ioctl(c.server, SIOCATMARK, &mark));
    check(strcmp(text, "abc!def") == 0, "stream: %s", text);
    check_exchange("after", c.client, c.server);
    pass();
}
