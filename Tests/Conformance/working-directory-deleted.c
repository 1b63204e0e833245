// A process whose working directory has been removed: getcwd(3), rmdir(2).
#include "conformance.h"

int main(void)
{
    char path[4096], *folder = scratch("folder");
    must(mkdir(folder, 0700));
    must(chdir(folder));
    must(rmdir(folder));
    ready_and_wait();
    check(getcwd(path, sizeof path) == NULL && errno == ENOENT, "the directory is there again: %s", path);
    check(open("file", O_WRONLY | O_CREAT, 0600) == -1 && errno == ENOENT, "files can be created in it");
    must(chdir("/"));
    pass();
}
