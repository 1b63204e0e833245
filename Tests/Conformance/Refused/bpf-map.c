// Must be refused: a BPF map: bpf(2).
#include "conformance.h"
#include <linux/bpf.h>

int main(void)
{
    union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 4};
    int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
    if (fd < 0) skip("BPF_MAP_CREATE: %s", strerror(errno));
    uint32_t key = 2;
    uint64_t value = 77, got = 0;
    attributes = (union bpf_attr){.map_fd = (uint32_t)fd, .key = (uint64_t)&key, .value = (uint64_t)&value};
    must(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attributes, sizeof attributes));
    ready_and_wait();
    attributes.value = (uint64_t)&got;
    must(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attributes, sizeof attributes));
    check_equal("value", got, 77);
    pass();
}
