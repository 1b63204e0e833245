// An accept without any connection goes on waiting: accept(2), for TCP and UNIX sockets.
#include "conformance.h"

static int listeners[2], tids[2];

static void *body(void *argument)
{
    long i = (long)argument;
    __atomic_store_n(&tids[i], gettid(), __ATOMIC_SEQ_CST);
    int s = accept(listeners[i], NULL, NULL);
    check(s >= 0, "accept: %s", strerror(errno));
    read_pattern("bytes of the connection", s, 100, 4);
    close(s);
    return NULL;
}

int main(void)
{
    struct sockaddr_storage tcp;
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    socklen_t length;
    pthread_t threads[2];
    listeners[0] = bound_socket(AF_INET, SOCK_STREAM, &tcp, &length);
    snprintf(path.sun_path, sizeof path.sun_path, "%s", scratch("socket"));
    listeners[1] = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(bind(listeners[1], (struct sockaddr *)&path, sizeof path));
    for (long i = 0; i < 2; i++) {
        must(listen(listeners[i], 4));
        threads[i] = start_thread(body, (void *)i);
        await(__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST), "the thread does not start");
        wait_blocked(tids[i], SYS_accept);
    }
    ready_and_wait();
    int one = must(socket(AF_INET, SOCK_STREAM, 0)), two = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(connect(one, (struct sockaddr *)&tcp, length));
    must(connect(two, (struct sockaddr *)&path, sizeof path));
    write_pattern(one, 100, 4);
    write_pattern(two, 100, 4);
    for (int i = 0; i < 2; i++) join_thread(threads[i]);
    pass();
}
