// An open directory goes on listing where it was: getdents64(2), openat(2), fchdir(2).
#include "conformance.h"

enum { FILES = 100 };

int main(void)
{
    char name[32], seen[FILES] = {0};
    char *folder = scratch("folder");
    must(mkdir(folder, 0700));
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "folder/entry-%d", i);
        write_file(scratch(name), "x", 1);
    }
    int fd = must(open(folder, O_RDONLY | O_DIRECTORY));
    struct { uint64_t inode; int64_t offset; uint16_t size; uint8_t type; char name[]; } *entry;
    char buffer[700]; // a few entries at a time
    int rounds = 0, i;
    while (1) {
        if (rounds++ == 2) ready_and_wait();
        long n = must(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
        if (n == 0) break;
        for (long at = 0; at < n; at += entry->size) {
            entry = (void *)(buffer + at);
            if (sscanf(entry->name, "entry-%d", &i) != 1) continue;
            check(i >= 0 && i < FILES && !seen[i], "%s is listed twice", entry->name);
            seen[i] = 1;
        }
    }
    check(rounds > 4, "the listing was too short for this test");
    for (i = 0; i < FILES; i++) check(seen[i], "entry-%d is not listed", i);
    int file = must(openat(fd, "entry-5", O_RDONLY));
    read_all("file in the directory", file, buffer, 1);
    must(fchdir(fd));
    check(access("entry-6", F_OK) == 0, "fchdir leads elsewhere");
    pass();
}
