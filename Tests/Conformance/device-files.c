// Open devices without state: null, zero, full, random, urandom: null(4), random(4).
#include "conformance.h"

static const char *names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random"};

int main(void)
{
    int fds[5];
    for (int i = 0; i < 5; i++) fds[i] = must(open(names[i], O_RDWR));
    char *zero = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[1], 0));
    zero[5] = 3;
    ready_and_wait();
    char data[64], more[64];
    check_equal("/dev/null: read", read(fds[0], data, 64), 0);
    check_equal("/dev/null: write", write(fds[0], data, 64), 64);
    check_equal("/dev/zero", read(fds[1], data, 64), 64);
    check_zero("/dev/zero", data, 64);
    check(write(fds[2], data, 64) == -1 && errno == ENOSPC, "/dev/full is not full");
    check_equal("/dev/urandom", read(fds[3], data, 64), 64);
    check_equal("/dev/random", read(fds[4], more, 64), 64);
    check(memcmp(data, more, 64) != 0, "the random numbers are not random");
    check_equal("private mapping of /dev/zero", zero[5] + zero[6], 3);
    pass();
}
