// A recv that waits on sockets, one of them with a timeout set, goes on without EINTR: recv(2), signal(7).
#include "conformance.h"

static int stream[2], datagram[2], tids[2];

static void *body(void *argument)
{
    long i = (long)argument;
    char text[16] = "";
    __atomic_store_n(&tids[i], gettid(), __ATOMIC_SEQ_CST);
    ssize_t n = recv(i ? datagram[0] : stream[0], text, sizeof text, 0);
    check(n == 3, "recv %ld: %zd %s", i, n, n < 0 ? strerror(errno) : "");
    check(strcmp(text, "abc") == 0, "received %s", text);
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    struct timeval hour = {3600, 0};
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
    must(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram));
    must(setsockopt(datagram[0], SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof hour));
    for (long i = 0; i < 2; i++) {
        threads[i] = start_thread(body, (void *)i);
        await(__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST), "the thread does not start");
        wait_blocked(tids[i], SYS_recvfrom);
    }
    ready_and_wait();
    must(write(stream[1], "abc", 3));
    must(write(datagram[1], "abc", 3));
    for (int i = 0; i < 2; i++) join_thread(threads[i]);
    pass();
}
