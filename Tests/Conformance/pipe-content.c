// Bytes waiting in pipes, and which descriptor is which end: pipe(7).
#include "conformance.h"

int main(void)
{
    int a[2], b[2];
    must(pipe(a));
    must(pipe(b));
    int copy = must(dup(a[0]));
    write_pattern(a[1], 5000, 1);
    write_pattern(b[1], 1, 2);
    write_pattern(b[1], 30000, 3);
    ready_and_wait();
    int bytes = 0;
    must(ioctl(b[0], FIONREAD, &bytes));
    check_equal("bytes in the second pipe", bytes, 30001);
    read_pattern("first pipe, through the copy", copy, 2000, 1);
    char *rest = malloc(5000), *whole = malloc(5000);
    fill(whole, 5000, 1);
    read_all("first pipe", a[0], rest, 3000);
    check_bytes("rest of the first pipe", rest, whole + 2000, 3000);
    read_pattern("second pipe", b[0], 1, 2);
    read_pattern("second pipe", b[0], 30000, 3);
    check_nothing_to_read("first pipe", a[0]);
    check_nothing_to_read("second pipe", b[0]);
    write_pattern(a[1], 100, 4);
    read_pattern("first pipe afterwards", a[0], 100, 4);
    pass();
}
