// Must be refused: a fanotify group: fanotify(7).
#include "conformance.h"
#include <sys/fanotify.h>

int main(void)
{
    int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY);
    if (fd < 0) skip("fanotify_init: %s", strerror(errno));
    char *path = scratch("file");
    write_file(path, "x", 1);
    must(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, path));
    ready_and_wait();
    close(must(open(path, O_RDONLY)));
    char events[4096];
    check(read(fd, events, sizeof events) > 0, "no event: %s", strerror(errno));
    pass();
}
