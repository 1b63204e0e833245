// A private file mapping: changed pages stay changed, the others show the file: mmap(2) MAP_PRIVATE.
#include "conformance.h"

int main(void)
{
    size_t size = 16 * PAGE;
    char *path = scratch("file"), *content = malloc(size + PAGE);
    fill(content, size + PAGE, 1);
    write_file(path, content, size + 100); // the last page is partial
    int fd = must(open(path, O_RDONLY));
    char *m = must(mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    char *tail = must(mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 12 * PAGE));
    close(fd);
    for (size_t i = 0; i < 16; i += 3) memset(m + i * PAGE + 10, (int)i + 1, 100);
    m[size + 200] = 7; // behind the end of the file, within its last page
    ready_and_wait();
    for (size_t i = 0; i < 16; i += 3) memset(content + i * PAGE + 10, (int)i + 1, 100);
    check_bytes("mapping", m, content, size + 100);
    check_equal("behind the end of the file", m[size + 200], 7);
    fill(content, size, 1);
    check_bytes("mapping with an offset", tail, content + 12 * PAGE, 4 * PAGE);
    char *now_in_file = malloc(size + PAGE);
    check_equal("size of the file", read_file(path, now_in_file, size + PAGE), (long)size + 100);
    check_bytes("file", now_in_file, content, size);
    must(madvise(m, PAGE, MADV_DONTNEED));
    check_bytes("discarded change", m, content, PAGE);
    pass();
}
