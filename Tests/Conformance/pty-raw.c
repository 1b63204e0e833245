// A pseudo-terminal in raw and packet mode, with bytes unread that are not text: termios(3), ioctl_tty(2).
#include "conformance.h"
#include <termios.h>

int main(void)
{
    int master = must(posix_openpt(O_RDWR | O_NOCTTY)), on = 1, value = 0;
    must(grantpt(master));
    must(unlockpt(master));
    int slave = must(open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK));
    struct termios settings;
    must(tcgetattr(slave, &settings));
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = 3;
    settings.c_cc[VTIME] = 2;
    must(tcsetattr(slave, TCSANOW, &settings));
    write_pattern(master, 1000, 1);
    write_pattern(slave, 900, 2);
    must(ioctl(master, TIOCEXCL, NULL));
    sleep_ms(20);
    ready_and_wait();
    must(ioctl(slave, FIONREAD, &value));
    check_equal("unread input", value, 1000);
    read_pattern("input", slave, 1000, 1);
    read_pattern("output", master, 900, 2);
    must(tcgetattr(slave, &settings));
    check_equal("VMIN", settings.c_cc[VMIN], 3);
    must(ioctl(master, TIOCPKT, &on));
    write_all(slave, "abc", 3);
    char text[16];
    await(read(master, text, sizeof text) == 4 && memcmp(text, "\0abc", 4) == 0, "packet mode does not work");
    pass();
}
