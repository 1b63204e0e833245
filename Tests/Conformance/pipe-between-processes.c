// Parent and child talk through pipes in both directions while they are checkpointed: pipe(7), fork(2).
#include "conformance.h"

static int there[2], back[2];

static void body(void *unused)
{
    close(there[1]);
    close(back[0]);
    child_ready();
    uint64_t number, expected = 0;
    while (read(there[0], &number, sizeof number) == sizeof number) {
        check_equal("number in the child", number, expected++);
        number *= 3;
        write_all(back[1], &number, sizeof number);
    }
    check(is_go(), "end of file before go");
}

int main(void)
{
    must(pipe(there));
    must(pipe(back));
    pid_t child = spawn(body, NULL);
    close(there[0]);
    close(back[1]);
    ready();
    uint64_t sent = 0, answered = 0, number;
    while (!is_go() || answered < sent) {
        if (!is_go() && sent - answered < 100) {
            write_all(there[1], &sent, sizeof sent);
            sent++;
        }
        if (sent - answered < 50 && !is_go()) continue;
        read_all("answer", back[0], &number, sizeof number);
        check_equal("answer", number, answered++ * 3);
    }
    close(there[1]);
    join_child(child);
    check_equal("end of file", read(back[0], &number, 1), 0);
    pass();
}
