// A shared file mapping writes to the file, before and after: mmap(2) MAP_SHARED.
#include "conformance.h"

int main(void)
{
    size_t size = 16 * PAGE;
    char *path = scratch("file"), *content = calloc(1, size + 1);
    write_file(path, content, size);
    int fd = must(open(path, O_RDWR));
    char *m = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *second = must(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE));
    close(fd);
    fill(m, size / 2, 1);
    ready_and_wait();
    check_pattern("mapping", m, size / 2, 1);
    check_zero("rest of the mapping", m + size / 2, size / 2);
    check_equal("size of the file", read_file(path, content, size + 1), (long)size);
    check_bytes("file", content, m, size);
    m[5 * PAGE + 3] = 99;
    check_equal("write seen in the second mapping", second[PAGE + 3], 99);
    read_file(path, content, size + 1);
    check_equal("write seen in the file", content[5 * PAGE + 3], 99);
    fd = must(open(path, O_WRONLY));
    must(pwrite(fd, "Z", 1, 9 * PAGE));
    check_equal("write to the file seen in the mapping", m[9 * PAGE], 'Z');
    must(msync(m, size, MS_SYNC));
    pass();
}
