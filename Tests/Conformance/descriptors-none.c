// A process that has closed its standard input and error: close(2).
#include "conformance.h"

int main(void)
{
    close(0);
    close(2);
    ready_and_wait();
    check(fcntl(0, F_GETFD) == -1 && errno == EBADF, "standard input is open");
    check(fcntl(2, F_GETFD) == -1 && errno == EBADF, "standard error is open");
    check_equal("next descriptor", open("/dev/null", O_RDONLY), 0);
    check_equal("next descriptor", open("/dev/null", O_RDONLY), 2);
    pass();
}
