// SPDX-License-Identifier: Apache-2.0
// Built with -fsanitize=address, whose runtime wants to be the first library: a preloaded one is before it.
// Prints how many adapters there are.
#include <infiniband/verbs.h>
#include <stdio.h>

int main(void) {
    int count = 0;
    struct ibv_device **list = ibv_get_device_list(&count);
    printf("%d\n", list ? count : -1);
    if (list) ibv_free_device_list(list);
    return 0;
}
