// Locked memory stays locked: mlock(2), mlock2(2) MLOCK_ONFAULT.
#include "conformance.h"

int main(void)
{
    size_t size = 64 * PAGE;
    char *locked = map_anonymous(size), *on_fault = map_anonymous(size), *normal = map_anonymous(size);
    if (mlock(locked, size) < 0) skip("mlock: %s", strerror(errno));
    must(mlock2(on_fault, size, MLOCK_ONFAULT));
    fill(locked, size / 2, 1);
    fill(normal, size, 2);
    ready_and_wait();
    check_pattern("locked", locked, size / 2, 1);
    check_zero("rest of the locked memory", locked + size / 2, size / 2);
    check(has_vm_flag(locked, "lo"), "the memory is no longer locked");
    check(has_vm_flag(on_fault, "lo"), "the memory locked on fault is no longer locked");
    check(!has_vm_flag(normal, "lo"), "other memory is locked");
    unsigned char in_core[64];
    must(mincore(locked, size, in_core));
    for (int i = 0; i < 64; i++) check(in_core[i] & 1, "page %d of the locked memory is not resident", i);
    must(munlock(locked, size));
    check(!has_vm_flag(locked, "lo"), "munlock has no effect");
    pass();
}
