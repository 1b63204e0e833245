// Must be refused: a performance counter: perf_event_open(2).
#include "conformance.h"
#include <linux/perf_event.h>

int main(void)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes,
                                         .config = PERF_COUNT_SW_CONTEXT_SWITCHES};
    int fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
    if (fd < 0) skip("perf_event_open: %s", strerror(errno));
    uint64_t before = 0, after = 0;
    read_all("counter", fd, &before, sizeof before);
    ready_and_wait();
    sleep_ms(5);
    read_all("counter", fd, &after, sizeof after);
    check(after > before, "the counter stands still");
    pass();
}
