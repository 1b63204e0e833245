// Descriptors that only name a file, a symbolic link or a folder: open(2) O_PATH.
#include "conformance.h"

int main(void)
{
    char *path = scratch("file"), *name = scratch("link"), text[32] = "";
    write_file(path, "content", 7);
    must(symlink("file", name));
    int file = must(open(path, O_PATH)), link = must(open(name, O_PATH | O_NOFOLLOW));
    int folder = must(open(getenv("FERMATA_SCRATCH"), O_PATH | O_DIRECTORY));
    ready_and_wait();
    check(read(file, text, 1) == -1 && errno == EBADF, "the file can be read");
    check(fcntl(file, F_GETFL) & O_PATH, "O_PATH of the file");
    struct stat s;
    must(fstat(link, &s));
    check(S_ISLNK(s.st_mode), "the symbolic link was followed");
    check_equal("target of the link", readlinkat(link, "", text, sizeof text), 4);
    int again = must(openat(folder, "file", O_RDONLY));
    read_all("through the folder", again, text, 7);
    check_bytes("through the folder", text, "content", 7);
    pass();
}
