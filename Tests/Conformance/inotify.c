// Watches on a folder and a file tell of what happens afterwards, with the old numbers: inotify(7).
#include "conformance.h"
#include <sys/inotify.h>

static int fd;

static struct inotify_event *next_event(const char *what)
{
    static char buffer[4096] __attribute__((aligned(8)));
    static ssize_t size, at;
    if (at >= size) {
        at = 0;
        await((size = read(fd, buffer, sizeof buffer)) > 0, "%s: no event", what);
    }
    struct inotify_event *event = (void *)(buffer + at);
    at += (ssize_t)sizeof *event + event->len;
    return event;
}

int main(void)
{
    char *folder = scratch("folder"), *inside = scratch("folder/new"), *file = scratch("file");
    must(mkdir(folder, 0700));
    write_file(file, "x", 1);
    fd = must(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    int gone = must(inotify_add_watch(fd, "/", IN_MOVED_TO));
    int a = must(inotify_add_watch(fd, folder, IN_CREATE | IN_DELETE));
    int b = must(inotify_add_watch(fd, file, IN_MODIFY | IN_ATTRIB));
    must(inotify_rm_watch(fd, gone)); // so that numbers do not begin at 1
    struct inotify_event *event = next_event("removed watch");
    check_equal("removed watch", event->wd, gone);
    check(read(fd, (char[4096]){0}, 4096) == -1, "an event before");
    ready_and_wait();
    check(read(fd, (char[4096]){0}, 4096) == -1 && errno == EAGAIN, "an event that nobody caused");
    write_file(inside, "", 0);
    event = next_event("file created");
    check_equal("watch of the folder", event->wd, a);
    check_equal("event", event->mask, IN_CREATE);
    check(strcmp(event->name, "new") == 0, "name: %s", event->name);
    int w = must(open(file, O_WRONLY));
    must(write(w, "y", 1));
    event = next_event("file changed");
    check_equal("watch of the file", event->wd, b);
    check_equal("event", event->mask, IN_MODIFY);
    must(unlink(inside));
    event = next_event("file deleted");
    check(event->wd == a && event->mask == IN_DELETE, "event 0x%x of watch %d", event->mask, event->wd);
    int c = must(inotify_add_watch(fd, getenv("FERMATA_SCRATCH"), IN_CREATE));
    check(c > b, "a new watch got the number %d", c);
    pass();
}
