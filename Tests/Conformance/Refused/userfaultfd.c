// Must be refused: faults of the process handled by itself: userfaultfd(2).
#include "conformance.h"
#include <linux/userfaultfd.h>

static int fd;
static char *m;

static void *body(void *unused)
{
    check_equal("byte of the missing page", m[0], 'f');
    return NULL;
}

int main(void)
{
    fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fd < 0) skip("userfaultfd: %s", strerror(errno));
    struct uffdio_api api = {.api = UFFD_API};
    must(ioctl(fd, UFFDIO_API, &api));
    m = map_anonymous(PAGE);
    struct uffdio_register area = {{(unsigned long)m, PAGE}, UFFDIO_REGISTER_MODE_MISSING};
    must(ioctl(fd, UFFDIO_REGISTER, &area));
    ready_and_wait();
    pthread_t thread = start_thread(body, NULL);
    struct uffd_msg message;
    read_all("fault", fd, &message, sizeof message);
    check_equal("event", message.event, UFFD_EVENT_PAGEFAULT);
    char *page = map_anonymous(PAGE);
    page[0] = 'f';
    struct uffdio_copy copy = {(unsigned long)m, (unsigned long)page, PAGE};
    must(ioctl(fd, UFFDIO_COPY, &copy));
    join_thread(thread);
    pass();
}
