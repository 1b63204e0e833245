// Every thread's robust list and clear-child-tid address: get_robust_list(2), set_tid_address(2).
#include "conformance.h"

static pthread_barrier_t barrier;

static void *body(void *unused)
{
    void *head = NULL, *head_after = NULL;
    size_t size = 0, size_after = 0;
    must(syscall(SYS_get_robust_list, 0, &head, &size));
    int *address = NULL, *address_after = NULL;
    int known = prctl(PR_GET_TID_ADDRESS, &address) == 0;
    pthread_barrier_wait(&barrier);
    wait_go();
    must(syscall(SYS_get_robust_list, 0, &head_after, &size_after));
    check(head == head_after && size == size_after, "the robust list moved");
    if (known) {
        must(prctl(PR_GET_TID_ADDRESS, &address_after));
        check(address == address_after, "clear-child-tid: %p, then %p", address, address_after);
    }
    return NULL;
}

int main(void)
{
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread = start_thread(body, NULL);
    ready();
    body(NULL);
    join_thread(thread); // needs clear-child-tid
    pass();
}
