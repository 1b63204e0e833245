// Event counters, plain and as semaphores, shared with a child: eventfd(2).
#include "conformance.h"
#include <sys/eventfd.h>

static int shared;

static void body(void *unused)
{
    uint64_t value = 0;
    child_ready();
    check_equal("eventfd in the child", read(shared, &value, sizeof value), 8);
    check(is_go(), "an event before go");
    check_equal("value in the child", value, 5);
}

int main(void)
{
    int plain = must(eventfd(77, EFD_NONBLOCK | EFD_CLOEXEC)), semaphore = must(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    int full = must(eventfd(0, EFD_NONBLOCK));
    uint64_t value = 1ull << 40, most = UINT64_MAX - 1;
    must(write(plain, &value, sizeof value));
    must(write(full, &most, sizeof most));
    shared = must(eventfd(0, 0));
    pid_t child = spawn(body, NULL);
    wait_blocked(child, SYS_read);
    ready_and_wait();
    read_all("plain", plain, &value, sizeof value);
    check_equal("plain", value, (1ll << 40) + 77);
    check(read(plain, &value, sizeof value) == -1 && errno == EAGAIN, "the counter was not reset");
    for (int i = 0; i < 2; i++) {
        read_all("semaphore", semaphore, &value, sizeof value);
        check_equal("semaphore", value, 1);
    }
    check(read(semaphore, &value, sizeof value) == -1 && errno == EAGAIN, "the semaphore is too high");
    value = 1;
    check(write(full, &value, sizeof value) == -1 && errno == EAGAIN, "the full counter takes more");
    read_all("full", full, &value, sizeof value);
    check(value == most, "full: got %lu", value);
    value = 5;
    must(write(shared, &value, sizeof value));
    join_child(child);
    pass();
}
