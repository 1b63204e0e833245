// A pseudo-terminal: settings, window size, name, unread bytes in both directions: pty(7), termios(3).
#include "conformance.h"
#include <termios.h>

int main(void)
{
    char name[128], after[128], text[64];
    int master = must(posix_openpt(O_RDWR | O_NOCTTY));
    must(grantpt(master));
    must(unlockpt(master));
    check(ptsname_r(master, name, sizeof name) == 0, "ptsname: %s", strerror(errno));
    int slave = must(open(name, O_RDWR | O_NOCTTY));
    struct termios settings, got;
    must(tcgetattr(slave, &settings));
    settings.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOCTL);
    settings.c_oflag &= ~(tcflag_t)OPOST;
    settings.c_cc[VINTR] = 7;
    settings.c_cc[VEOF] = 5;
    cfsetospeed(&settings, B9600);
    must(tcsetattr(slave, TCSANOW, &settings));
    must(tcgetattr(slave, &settings));
    struct winsize size = {41, 133, 800, 600}, size_after;
    must(ioctl(master, TIOCSWINSZ, &size));
    write_all(master, "a line\nhalf a li", 16);
    write_all(slave, "output\n", 7);
    sleep_ms(20);
    ready_and_wait();
    check(ptsname_r(master, after, sizeof after) == 0 && strcmp(name, after) == 0, "name of the slave: %s", after);
    check(ttyname_r(slave, after, sizeof after) == 0 && strcmp(name, after) == 0, "name of the terminal: %s", after);
    must(tcgetattr(slave, &got));
    check(got.c_iflag == settings.c_iflag && got.c_oflag == settings.c_oflag &&
          got.c_cflag == settings.c_cflag && got.c_lflag == settings.c_lflag, "flags of the terminal");
    check_bytes("special characters", got.c_cc, settings.c_cc, sizeof got.c_cc);
    must(ioctl(slave, TIOCGWINSZ, &size_after));
    check_bytes("window size", &size_after, &size, sizeof size);
    check_equal("input: first line", read(slave, text, sizeof text), 7);
    check_bytes("input: first line", text, "a line\n", 7);
    check_nothing_to_read("half a line", slave);
    write_all(master, "ne\n", 3);
    check_equal("input: second line", read(slave, text, sizeof text), 12);
    check_bytes("input: second line", text, "half a line\n", 12);
    read_all("output", master, text, 7);
    check_bytes("output", text, "output\n", 7);
    close(slave);
    check(read(master, text, 1) == -1 && errno == EIO, "the slave is still open");
    pass();
}
