// A connect that waits for room in the listener's backlog goes on waiting: connect(2).
#include "conformance.h"

static struct sockaddr_storage tcp;
static struct sockaddr_un path = {.sun_family = AF_UNIX};
static socklen_t length;
static int clients[2], tids[2];

static void *body(void *argument)
{
    long i = (long)argument;
    __atomic_store_n(&tids[i], gettid(), __ATOMIC_SEQ_CST);
    int failed = i ? connect(clients[i], (struct sockaddr *)&path, sizeof path)
                   : connect(clients[i], (struct sockaddr *)&tcp, length);
    check(failed == 0, "connect: %s", strerror(errno));
    write_pattern(clients[i], 100, 4);
    return NULL;
}

// Fills a backlog of 0, which holds one connection, and gives back the one that is in it.
static int crowd(int listener, int family, void *address, socklen_t size)
{
    must(listen(listener, 0));
    int s = must(socket(family, SOCK_STREAM, 0));
    must(connect(s, address, size));
    return s;
}

int main(void)
{
    // Each waiting connection has a listener of its own: with two, the kernel may answer both and
    // then have room for one.
    struct sockaddr_storage other;
    socklen_t other_length;
    int listeners[3], first[3], accepted[3];
    pthread_t threads[2];
    listeners[0] = bound_socket(AF_INET, SOCK_STREAM, &tcp, &length);
    listeners[2] = bound_socket(AF_INET, SOCK_STREAM, &other, &other_length);
    snprintf(path.sun_path, sizeof path.sun_path, "%s", scratch("socket"));
    listeners[1] = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(bind(listeners[1], (struct sockaddr *)&path, sizeof path));
    first[0] = crowd(listeners[0], AF_INET, &tcp, length);
    first[1] = crowd(listeners[1], AF_UNIX, &path, sizeof path);
    first[2] = crowd(listeners[2], AF_INET, &other, other_length);
    int patient = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    check(connect(patient, (struct sockaddr *)&other, other_length) && errno == EINPROGRESS,
          "%s", strerror(errno));
    for (long i = 0; i < 2; i++) {
        clients[i] = must(socket(i ? AF_UNIX : AF_INET, SOCK_STREAM, 0));
        threads[i] = start_thread(body, (void *)i);
        await(__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST), "the thread does not start");
        wait_blocked(tids[i], SYS_connect);
    }
    ready_and_wait();
    for (int i = 0; i < 3; i++) {
        int s = must(accept(listeners[i], NULL, NULL));
        check_exchange("the connection that had room", first[i], s);
    }
    for (int i = 0; i < 3; i++) accepted[i] = must(accept(listeners[i], NULL, NULL));
    for (int i = 0; i < 2; i++) {
        join_thread(threads[i]);
        read_pattern("bytes of a connection that waited", accepted[i], 100, 4);
    }
    struct pollfd p = {.fd = patient, .events = POLLOUT};
    check_equal("poll", poll(&p, 1, 3000), 1);
    check_equal("result of connect", connect(patient, (struct sockaddr *)&other, other_length), 0);
    must(fcntl(patient, F_SETFL, 0));
    check_exchange("the connection nobody waited for", patient, accepted[2]);
    pass();
}
