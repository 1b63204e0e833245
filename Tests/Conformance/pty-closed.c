// A pseudo-terminal whose slave is closed, with and without last words, and one whose slave was never open: pty(7).
#include "conformance.h"
#include <poll.h>

static int open_master(char *name, size_t size)
{
    int master = must(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK));
    must(grantpt(master));
    must(unlockpt(master));
    check(ptsname_r(master, name, size) == 0, "ptsname: %s", strerror(errno));
    return master;
}

static int is_hung_up(int master)
{
    struct pollfd state = {.fd = master};
    return must(poll(&state, 1, 0)) == 1 && state.revents & POLLHUP;
}

static void check_all(const char *when, int silent, int spoken, int fresh)
{
    char byte;
    check(is_hung_up(silent) && is_hung_up(spoken), "%s: a closed slave seems open", when);
    check(read(silent, &byte, 1) == -1 && errno == EIO, "%s: the closed one: %s", when, strerror(errno));
    check(!is_hung_up(fresh), "%s: a slave that nobody opened seems closed", when);
    check(read(fresh, &byte, 1) == -1 && errno == EAGAIN, "%s: the fresh one: %s", when, strerror(errno));
}

int main(void)
{
    char name[128], text[64];
    int silent = open_master(name, sizeof name);
    close(must(open(name, O_RDWR | O_NOCTTY)));
    int spoken = open_master(name, sizeof name);
    int slave = must(open(name, O_RDWR | O_NOCTTY));
    write_all(slave, "last words", 10);
    close(slave);
    int fresh = open_master(name, sizeof name);
    check_all("before", silent, spoken, fresh);
    ready_and_wait();
    check_all("after", silent, spoken, fresh);
    check_equal("last words", must(read(spoken, text, sizeof text)), 10);
    check_bytes("last words", text, "last words", 10);
    check(read(spoken, text, 1) == -1 && errno == EIO, "after the last words: %s", strerror(errno));
    slave = must(open(name, O_RDWR | O_NOCTTY));
    write_all(slave, "first words", 11);
    sleep_ms(20);
    check_equal("first words", must(read(fresh, text, sizeof text)), 11);
    check_bytes("first words", text, "first words", 11);
    pass();
}
