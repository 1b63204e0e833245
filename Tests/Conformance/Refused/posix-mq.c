// A POSIX message queue: attributes, queued messages with priorities, flags: mq_overview(7).
#include "conformance.h"
#include <mqueue.h>

static char name[64];
static void unlink_it(void) { mq_unlink(name); }

int main(void)
{
    struct mq_attr wanted = {.mq_maxmsg = 5, .mq_msgsize = 500}, got;
    snprintf(name, sizeof name, "/fermata-%d", getpid());
    mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &wanted);
    if (q < 0) skip("mq_open: %s", strerror(errno));
    cleanup = unlink_it;
    char data[500];
    for (unsigned i = 0; i < 5; i++) {
        fill(data, 100 * i, i);
        must(mq_send(q, data, 100 * i, i * 3 % 5));
    }
    ready_and_wait();
    must(mq_getattr(q, &got));
    check_equal("flags", got.mq_flags, O_NONBLOCK);
    check_equal("capacity", got.mq_maxmsg, 5);
    check_equal("message size", got.mq_msgsize, 500);
    check_equal("messages", got.mq_curmsgs, 5);
    for (int n = 4; n >= 0; n--) { // highest priority first
        unsigned priority = 99, i = (unsigned)n * 2 % 5;
        check_equal("size", must(mq_receive(q, data, sizeof data, &priority)), 100 * i);
        check_equal("priority", priority, n);
        check_pattern("message", data, 100 * i, i);
    }
    check(mq_receive(q, data, sizeof data, NULL) == -1 && errno == EAGAIN, "one more message");
    mqd_t again = must(mq_open(name, O_WRONLY));
    must(mq_send(again, "x", 1, 0));
    check_equal("message through the name", must(mq_receive(q, data, sizeof data, NULL)), 1);
    pass();
}
