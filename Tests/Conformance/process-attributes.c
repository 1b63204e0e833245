// Small attributes: timer slack, oom score, core dump filter, huge pages, I/O priority: prctl(2), proc(5).
#include "conformance.h"

static void read_line(const char *path, char *text, size_t size)
{
    check(read_file(path, text, size) > 0, "%s: %s", path, strerror(errno));
}

static void write_text(const char *path, const char *text)
{
    int fd = must(open(path, O_WRONLY));
    must(write(fd, text, strlen(text)));
    close(fd);
}

int main(void)
{
    char text[64];
    must(prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
    must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    write_text("/proc/self/oom_score_adj", "321");
    write_text("/proc/self/coredump_filter", "0x15");
    must(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6)); // best effort, level 6
    ready_and_wait();
    check_equal("timer slack", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 123456);
    check_equal("huge pages disabled", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
    check_equal("keep capabilities", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 1);
    read_line("/proc/self/oom_score_adj", text, sizeof text);
    check_equal("oom score", atoi(text), 321);
    read_line("/proc/self/coredump_filter", text, sizeof text);
    check_equal("core dump filter", strtol(text, NULL, 16), 0x15);
    check_equal("I/O priority", syscall(SYS_ioprio_get, 1, 0), 2 << 13 | 6);
    pass();
}
