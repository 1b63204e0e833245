// Names of the process and of its threads: prctl(2) PR_SET_NAME, pthread_setname_np(3).
#include "conformance.h"

static pthread_barrier_t barrier;

static void *body(void *argument)
{
    char name[16], expected[16];
    snprintf(expected, sizeof expected, "worker (%ld) \n!", (long)argument);
    must(prctl(PR_SET_NAME, expected));
    pthread_barrier_wait(&barrier);
    wait_go();
    must(prctl(PR_GET_NAME, name));
    check(strcmp(name, expected) == 0, "thread name: expected %s, got %s", expected, name);
    return NULL;
}

int main(void)
{
    pthread_t threads[3];
    char text[64], path[64];
    pthread_barrier_init(&barrier, NULL, 4);
    for (long i = 0; i < 3; i++) threads[i] = start_thread(body, (void *)i);
    pthread_barrier_wait(&barrier);
    must(prctl(PR_SET_NAME, "the main one"));
    ready_and_wait();
    snprintf(path, sizeof path, "/proc/%d/comm", getpid());
    check(read_file(path, text, sizeof text) > 0, "%s cannot be read", path);
    check(strcmp(text, "the main one\n") == 0, "process name: got %s", text);
    for (int i = 0; i < 3; i++) join_thread(threads[i]);
    pass();
}
