// Descriptors with high numbers and gaps between them: dup2(2).
#include "conformance.h"

static const int numbers[] = {100, 255, 256, 1000, 1023, 1024, 4000};
enum { COUNT = sizeof numbers / sizeof *numbers };

int main(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_max < 4096) skip("only %lu descriptors are allowed", (unsigned long)limit.rlim_max);
    if (limit.rlim_cur < 4096) limit.rlim_cur = 4096;
    must(setrlimit(RLIMIT_NOFILE, &limit));
    int p[2];
    must(pipe(p));
    for (int i = 0; i < COUNT; i++) must(dup2(p[1], numbers[i]));
    char open_before[4096], *number;
    for (int fd = 0; fd < 4096; fd++) open_before[fd] = fcntl(fd, F_GETFD) >= 0;
    int next = must(dup(1));
    close(next);
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) write_pattern(numbers[i], 10, (unsigned)i);
    for (int i = 0; i < COUNT; i++) read_pattern("through a high descriptor", p[0], 10, (unsigned)i);
    for (int fd = 0; fd < 4096; fd++) {
        if (asprintf(&number, "descriptor %d is open", fd) < 0) fail("out of memory");
        check_equal(number, fcntl(fd, F_GETFD) >= 0, open_before[fd]);
        free(number);
    }
    check_equal("next free descriptor", dup(1), next);
    pass();
}
