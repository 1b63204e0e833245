// A file that is written and read all the time by two processes: write(2), pread(2).
#include "conformance.h"

static char *path;

static void body(void *unused)
{
    int fd = must(open(path, O_RDONLY));
    uint64_t number, count = 0;
    child_ready();
    for (int ended = 0;; ) {
        ssize_t n = must(pread(fd, &number, sizeof number, (off_t)(count * sizeof number)));
        if (n == sizeof number) {
            check(number == count * 7, "record %lu: got %lu", count, number);
            count++;
        } else {
            if (ended) break;
            ended = is_go() && access(scratch_paths[1], F_OK) == 0;
            if (getppid() != parent_pid) _exit(1);
            sleep_ms(1);
        }
    }
    check(count > 0, "no records");
}

int main(void)
{
    path = scratch("file");
    char *end = scratch("end");
    int fd = must(open(path, O_WRONLY | O_CREAT | O_APPEND, 0600));
    pid_t child = spawn(body, NULL);
    uint64_t count = 0;
    ready();
    do {
        uint64_t number = count++ * 7;
        write_all(fd, &number, sizeof number);
        if (count % 50 == 0) sleep_ms(1);
    } while (!is_go());
    write_file(end, "", 0);
    join_child(child);
    struct stat s;
    must(fstat(fd, &s));
    check_equal("size of the file", s.st_size, count * 8);
    pass();
}
