// A child with a root directory of its own: chroot(2).
#include "conformance.h"

static char *folder;

static void body(void *unused)
{
    char text[16] = "";
    char *go_folder = strdup(go_path), *go_name = strrchr(go_folder, '/') + 1;
    go_name[-1] = 0;
    int where = must(open(go_folder, O_PATH));
    must(chroot(folder));
    must(chdir("/"));
    child_ready();
    // The go file is outside the new root.
    while (faccessat(where, go_name, F_OK, 0) != 0) {
        if (getppid() != parent_pid) _exit(1);
        sleep_ms(2);
    }
    check(read_file("/inside", text, sizeof text) == 5, "/inside is not in the root directory");
    check(getcwd(text, sizeof text) && strcmp(text, "/") == 0, "directory: %s", text);
}

int main(void)
{
    if (geteuid() != 0) skip("needs root");
    folder = scratch("folder");
    must(mkdir(folder, 0700));
    write_file(scratch("folder/inside"), "hello", 5);
    pid_t child = spawn(body, NULL);
    ready_and_wait();
    join_child(child);
    pass();
}
