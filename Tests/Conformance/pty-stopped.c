// Terminals whose output is stopped, by a character and by a call, with bytes unread: tcflow(3), termios(3).
#include "conformance.h"
#include <termios.h>

struct terminal { int master, slave; };

static struct terminal open_terminal(void)
{
    struct terminal t = { .master = must(posix_openpt(O_RDWR | O_NOCTTY)) };
    must(grantpt(t.master));
    must(unlockpt(t.master));
    t.slave = must(open(ptsname(t.master), O_RDWR | O_NOCTTY | O_NONBLOCK));
    struct termios settings;
    must(tcgetattr(t.slave, &settings));
    cfmakeraw(&settings);
    settings.c_iflag |= IXON;
    must(tcsetattr(t.slave, TCSANOW, &settings));
    return t;
}

static void check_stopped(const char *which, int slave)
{
    check(write(slave, "x", 1) < 1, "%s: the terminal takes output", which);
}

static void check_goes_on(const char *which, struct terminal t, int seed)
{
    char rest[16];
    await(write(t.slave, "end", 3) == 3, which);
    must(fcntl(t.master, F_SETFL, 0));
    read_pattern(which, t.master, 3000, seed);
    check_equal(which, must(read(t.master, rest, sizeof rest)), 3);
}

int main(void)
{
    struct terminal typed = open_terminal(), called = open_terminal(), both = open_terminal();
    write_pattern(typed.slave, 3000, 1);
    write_pattern(called.slave, 3000, 2);
    write_pattern(both.slave, 3000, 3);
    write_all(typed.master, "typed", 5);
    write_all(typed.master, "\x13", 1);
    must(tcflow(called.slave, TCOOFF));
    must(tcflow(both.slave, TCOOFF));
    write_all(both.master, "\x13", 1);
    sleep_ms(20);
    check_stopped("typed, before", typed.slave);
    ready_and_wait();
    check_stopped("typed", typed.slave);
    check_stopped("called", called.slave);
    check_stopped("both", both.slave);
    // A stop by call is not ended by the character that ends the other.
    write_all(called.master, "\x11", 1);
    sleep_ms(20);
    check_stopped("called, after the character", called.slave);
    write_all(typed.master, "\x11", 1);
    must(tcflow(called.slave, TCOON));
    must(tcflow(both.slave, TCOON));
    check_goes_on("typed", typed, 1);
    check_goes_on("called", called, 2);
    check_goes_on("both", both, 3);
    char input[16];
    check_equal("input", must(read(typed.slave, input, sizeof input)), 5);
    check_bytes("input", input, "typed", 5);
    pass();
}
