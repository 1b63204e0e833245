// Names of the host and the domain: uname(2), gethostname(2).
#include "conformance.h"
#include <sys/utsname.h>

int main(void)
{
    struct utsname before, after;
    must(uname(&before));
    ready_and_wait();
    must(uname(&after));
    check(strcmp(before.nodename, after.nodename) == 0, "host: expected %s, got %s", before.nodename, after.nodename);
    check(strcmp(before.domainname, after.domainname) == 0, "domain: %s", after.domainname);
    check(strcmp(before.machine, after.machine) == 0, "machine: %s", after.machine);
    pass();
}
