// Each thread's alternate signal stack is used by handlers afterwards: sigaltstack(2).
#include "conformance.h"

enum { SIZE = 65536 };
static pthread_barrier_t barrier;
static __thread char *handler_stack;

static void on_signal(int unused) { handler_stack = __builtin_frame_address(0); }

static void hold(int is_main)
{
    stack_t stack = {.ss_sp = map_anonymous(SIZE), .ss_size = SIZE}, after;
    must(sigaltstack(&stack, NULL));
    pthread_barrier_wait(&barrier);
    if (is_main) ready();
    wait_go();
    must(sigaltstack(NULL, &after));
    check(after.ss_sp == stack.ss_sp && after.ss_size == SIZE && after.ss_flags == 0,
          "alternate stack: %p size %zu flags %d", after.ss_sp, after.ss_size, after.ss_flags);
    raise(SIGUSR1);
    check(handler_stack > (char *)stack.ss_sp && handler_stack < (char *)stack.ss_sp + SIZE,
          "the handler ran at %p, not on the alternate stack", handler_stack);
}

static void *body(void *unused)
{
    hold(0);
    return NULL;
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    must(sigaction(SIGUSR1, &action, NULL));
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread = start_thread(body, NULL);
    hold(1);
    join_thread(thread);
    pass();
}
