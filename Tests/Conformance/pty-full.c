// A pseudo-terminal whose master has not read for a while, so that the slave can write no more: pty(7).
#include "conformance.h"
#include <termios.h>

int main(void)
{
    int master = must(posix_openpt(O_RDWR | O_NOCTTY));
    must(grantpt(master));
    must(unlockpt(master));
    char name[128];
    check(ptsname_r(master, name, sizeof name) == 0, "ptsname: %s", strerror(errno));
    int slave = must(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
    struct termios settings;
    must(tcgetattr(slave, &settings));
    cfmakeraw(&settings);
    must(tcsetattr(slave, TCSANOW, &settings));
    static unsigned char all[1 << 17], got[1 << 17];
    fill(all, sizeof all, 5);
    size_t total = 0;
    // As a program prints: line by line, until there is no room even after a while.
    for (int idle = 0; idle < 5 && total + 41 <= sizeof all;) {
        ssize_t n = write(slave, all + total, 41);
        if (n > 0) {
            total += n;
            idle = 0;
        } else {
            check(errno == EAGAIN, "write: %s", strerror(errno));
            idle++;
            sleep_ms(5);
        }
    }
    check(total > 8192, "only %zu bytes fit", total);
    ready_and_wait();
    must(fcntl(master, F_SETFL, O_NONBLOCK));
    size_t n = 0;
    for (double deadline = now() + 3; n < total && now() < deadline;) {
        ssize_t r = read(master, got + n, sizeof got - n);
        if (r > 0) n += r; else sleep_ms(1);
    }
    check_equal("bytes to read", n, total);
    check_bytes("what was written", got, all, total);
    sleep_ms(20);
    check(read(master, got, 1) < 0 && errno == EAGAIN, "there is more to read");
    check_equal("room again", write(slave, "x", 1), 1);
    pass();
}
