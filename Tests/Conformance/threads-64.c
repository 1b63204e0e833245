// Sixty-four threads are all there again, and no more than that: clone(2), pthread_join(3).
#include "conformance.h"

enum { THREADS = 64 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int started, gone_on, may_go;

static void *body(void *unused)
{
    pthread_mutex_lock(&mutex);
    started++;
    while (!may_go) pthread_cond_wait(&condition, &mutex);
    gone_on++;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static int count_threads(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = start_thread(body, NULL);
    await(__atomic_load_n(&started, __ATOMIC_SEQ_CST) == THREADS, "not all threads start");
    ready_and_wait();
    check_equal("threads", count_threads(), THREADS + 1);
    pthread_mutex_lock(&mutex);
    check_equal("threads woken too early", gone_on, 0);
    may_go = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < THREADS; i++) join_thread(threads[i]);
    check_equal("threads that went on", gone_on, THREADS);
    pass();
}
