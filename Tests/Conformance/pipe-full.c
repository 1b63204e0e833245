// A pipe full to the last byte, made of odd pieces: pipe(7).
#include "conformance.h"

int main(void)
{
    int p[2];
    char byte = 0;
    must(pipe2(p, O_NONBLOCK));
    size_t total = 0;
    for (size_t piece = 3000;; ) { // pages are not all full
        char data[3000];
        for (size_t i = 0; i < piece; i++) data[i] = (char)pattern_byte(total + i, 5);
        ssize_t n = write(p[1], data, piece);
        if (n > 0) total += (size_t)n;
        else if (piece == 1) break;
        else piece = piece / 2;
    }
    ready_and_wait();
    // Restart packs the pages: the pipe may take a little more than before, and nothing is lost.
    int bytes = 0;
    must(ioctl(p[0], FIONREAD, &bytes));
    check_equal("bytes in the pipe", bytes, total);
    read_pattern("content", p[0], total, 5);
    check(read(p[0], &byte, 1) == -1 && errno == EAGAIN, "more bytes than before");
    pass();
}
