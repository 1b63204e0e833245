// A deleted file that is still open keeps content, size and offset, shared by two processes: unlink(2).
#include "conformance.h"

static int fd;

static void body(void *unused)
{
    child_ready();
    wait_go();
    await(lseek(fd, 0, SEEK_CUR) == 20003, "the parent's write is not seen");
    write_all(fd, "def", 3);
}

int main(void)
{
    char *path = scratch("file");
    fd = must(open(path, O_RDWR | O_CREAT, 0640));
    write_pattern(fd, 20000, 1);
    pid_t child = spawn(body, NULL);
    int reader = must(open(path, O_RDONLY));
    must(unlink(path));
    ready_and_wait();
    struct stat s;
    must(fstat(fd, &s));
    check_equal("size", s.st_size, 20000);
    check_equal("links", s.st_nlink, 0);
    check_equal("mode", s.st_mode & 0777, 0640);
    check(access(path, F_OK) == -1, "the file has its name again");
    check_equal("offset", lseek(fd, 0, SEEK_CUR), 20000);
    read_pattern("content", reader, 20000, 1);
    write_all(fd, "abc", 3);
    join_child(child);
    char text[8] = "";
    check_equal("bytes written afterwards", read(reader, text, 7), 6);
    check(strcmp(text, "abcdef") == 0, "written afterwards: %s", text);
    pass();
}
