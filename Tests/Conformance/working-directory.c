// Working directory, umask and root: getcwd(3), umask(2), chroot(2).
#include "conformance.h"

int main(void)
{
    char path[4096], *folder = scratch("folder");
    must(mkdir(folder, 0700));
    must(chdir(folder));
    umask(0137);
    struct stat root, root_after;
    must(stat("/", &root));
    ready_and_wait();
    check(getcwd(path, sizeof path) && strcmp(path, folder) == 0, "directory: %s", path);
    int fd = must(open("file", O_WRONLY | O_CREAT, 0777));
    struct stat s;
    must(fstat(fd, &s));
    check_equal("mode under the umask", s.st_mode & 0777, 0640);
    must(unlink("file"));
    check_equal("umask", umask(0), 0137);
    must(stat("/", &root_after));
    check_equal("root", root_after.st_ino, root.st_ino);
    pass();
}
