// Two thousand descriptors of several kinds: open(2), pipe(2), eventfd(2).
#include "conformance.h"
#include <sys/eventfd.h>

enum { COUNT = 500 };
static int files[COUNT], pipes[COUNT][2], events[COUNT];

int main(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_max < 2100) skip("only %lu descriptors are allowed", (unsigned long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit));
    char *path = scratch("file");
    write_file(path, "x", 1);
    for (int i = 0; i < COUNT; i++) {
        files[i] = must(open(path, O_RDWR));
        must(lseek(files[i], i, SEEK_SET));
        if (pipe(pipes[i]) < 0) skip("pipe %d: %s", i, strerror(errno));
        must(write(pipes[i][1], &i, sizeof i));
        events[i] = must(eventfd((unsigned)i + 1, 0));
    }
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        int number = -1;
        uint64_t value = 0;
        check_equal("offset", lseek(files[i], 0, SEEK_CUR), i);
        read_all("pipe", pipes[i][0], &number, sizeof number);
        check_equal("pipe", number, i);
        read_all("eventfd", events[i], &value, sizeof value);
        check_equal("eventfd", value, i + 1);
    }
    pass();
}
