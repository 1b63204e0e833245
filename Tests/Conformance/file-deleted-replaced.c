// A deleted file whose name now belongs to another file: both are what they were: unlink(2).
#include "conformance.h"

int main(void)
{
    char *path = scratch("file"), text[32];
    int old = must(open(path, O_RDWR | O_CREAT, 0600));
    write_all(old, "the old one", 11);
    must(unlink(path));
    int new = must(open(path, O_RDWR | O_CREAT, 0600));
    write_all(new, "the new file", 12);
    int never = must(open(scratch("empty"), O_RDWR | O_CREAT, 0600));
    must(unlink(scratch_paths[scratch_count - 1])); // deleted while empty
    ready_and_wait();
    must(lseek(old, 0, SEEK_SET));
    must(lseek(new, 0, SEEK_SET));
    check_equal("old size", read(old, text, sizeof text), 11);
    check_bytes("old content", text, "the old one", 11);
    check_equal("new size", read(new, text, sizeof text), 12);
    check_bytes("new content", text, "the new file", 12);
    check_equal("content by name", read_file(path, text, sizeof text), 12);
    check_bytes("content by name", text, "the new file", 12);
    check_equal("empty file", lseek(never, 0, SEEK_END), 0);
    struct stat s;
    must(fstat(old, &s));
    check_equal("links of the old one", s.st_nlink, 0);
    must(fstat(new, &s));
    check_equal("links of the new one", s.st_nlink, 1);
    pass();
}
