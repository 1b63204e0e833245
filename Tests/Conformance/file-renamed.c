// A file renamed after it was opened, and one whose folder was renamed: rename(2).
#include "conformance.h"

int main(void)
{
    char *old_folder = scratch("old"), *folder = scratch("new"), text[32];
    char *inside = scratch("new/inside"), *a = scratch("a"), *b = scratch("b");
    must(mkdir(old_folder, 0700));
    int fd = must(open(a, O_RDWR | O_CREAT, 0600));
    char path[4200];
    snprintf(path, sizeof path, "%s/inside", old_folder);
    int deep = must(open(path, O_RDWR | O_CREAT, 0600));
    write_all(fd, "one", 3);
    write_all(deep, "two", 3);
    must(rename(a, b));
    must(rename(old_folder, folder));
    ready_and_wait();
    write_all(fd, " three", 6);
    write_all(deep, " four", 5);
    read_file(b, text, sizeof text);
    check(strcmp(text, "one three") == 0, "renamed file: %s", text);
    read_file(inside, text, sizeof text);
    check(strcmp(text, "two four") == 0, "file in the renamed folder: %s", text);
    check(access(a, F_OK) == -1 && access(old_folder, F_OK) == -1, "an old name is there again");
    pass();
}
