// Private memory inherited over fork: each process sees its own changes only: fork(2).
#include "conformance.h"

static char *m;
enum { SIZE = 1 << 20 };

static void body(void *unused)
{
    memset(m, 21, SIZE / 4);
    child_ready();
    wait_go();
    for (size_t i = 0; i < SIZE / 4; i++) check_equal("changed by the child", m[i], 21);
    for (size_t i = SIZE / 4; i < SIZE; i++)
        check_equal("inherited", (uint8_t)m[i], pattern_byte(i, 1));
    memset(m, 22, SIZE);
}

int main(void)
{
    m = map_anonymous(SIZE);
    fill(m, SIZE, 1);
    pid_t child = spawn(body, NULL);
    m[SIZE - 1] = 55;
    ready_and_wait();
    join_child(child);
    check_equal("changed by the parent", m[SIZE - 1], 55);
    for (size_t i = 0; i < SIZE - 1; i++)
        check_equal("content in the parent", (uint8_t)m[i], pattern_byte(i, 1));
    pass();
}
