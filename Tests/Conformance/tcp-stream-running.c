// A TCP stream in both directions between two processes that never rest: tcp(7).
#include "conformance.h"

static void *send_numbers(void *argument)
{
    int s = *(int *)argument;
    uint64_t batch[512], number = 0;
    while (!is_go()) {
        for (int i = 0; i < 512; i++) batch[i] = number++;
        write_all(s, batch, sizeof batch);
        if (number % (512 * 16) == 0) sleep_ms(1);
    }
    number = UINT64_MAX;
    write_all(s, &number, sizeof number);
    must(shutdown(s, SHUT_WR));
    return NULL;
}

static void run(int s)
{
    pthread_t sender = start_thread(send_numbers, &s);
    uint64_t number, expected = 0;
    for (;; expected++) {
        read_all("stream", s, &number, sizeof number);
        if (number == UINT64_MAX) break;
        check(number == expected, "stream: expected %lu, got %lu", expected, number);
    }
    check_equal("end of file", read(s, &number, sizeof number), 0);
    join_thread(sender);
}

static void body(void *socket)
{
    child_ready();
    run(*(int *)socket);
}

int main(void)
{
    struct connection c = tcp_connection(AF_INET);
    close(c.listener);
    pid_t child = spawn(body, &c.client);
    close(c.client);
    ready();
    run(c.server);
    join_child(child);
    pass();
}
