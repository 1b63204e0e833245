// What every conformance program shares. A program sets up one kind of kernel state, calls ready(),
// lives until the file $FERMATA_GO exists (in between it may be checkpointed, killed and restarted any
// number of times), verifies from inside that nothing changed, and ends with PASS, FAIL or SKIP.
#ifndef FERMATA_CONFORMANCE_H
#define FERMATA_CONFORMANCE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELPER __attribute__((unused)) static
#define PAGE 4096L

// Of the whole program.
static pid_t top_pid;            // the process that prints the verdict
static const char *go_path;      // exists when it is time to verify
static char *scratch_paths[256]; // removed at the end
static int scratch_count;
static void (*cleanup)(void);    // what else must go at the end (System V objects, ...)

// Of this process.
static pid_t parent_pid;         // 0 in the top process
static int ready_fd = -1;        // a child reports here that it is set up
static pid_t children[512];
static int child_count;

HELPER void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0) _exit(3);
}

// Leaves nothing behind: no child, no file.
__attribute__((noreturn)) HELPER void finish(int status, const char *verdict)
{
    for (int i = 0; i < child_count; i++) {
        kill(children[i], SIGKILL);
        while (waitpid(children[i], NULL, 0) < 0 && errno == EINTR) {}
    }
    if (getpid() == top_pid) {
        if (cleanup) cleanup();
        for (int i = scratch_count - 1; i >= 0; i--) remove(scratch_paths[i]);
    }
    say(verdict);
    _exit(status);
}

__attribute__((noreturn, format(printf, 1, 2))) HELPER void fail(const char *format, ...)
{
    char text[1024] = "FAIL: ";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + 6, sizeof text - 8, format, arguments);
    va_end(arguments);
    strcat(text, "\n");
    finish(1, text);
}

// The machine lacks something. Only before ready().
__attribute__((noreturn, format(printf, 1, 2))) HELPER void skip(const char *format, ...)
{
    char text[1024] = "SKIP: ";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + 6, sizeof text - 8, format, arguments);
    va_end(arguments);
    strcat(text, "\n");
    finish(77, text);
}

__attribute__((noreturn)) HELPER void pass(void) { finish(0, "PASS\n"); }

#define check(condition, ...) do { if (!(condition)) fail(__VA_ARGS__); } while (0)

#define check_equal(what, got, expected) do { \
        long long got_ = (long long)(got), expected_ = (long long)(expected); \
        if (got_ != expected_) fail("%s: expected %lld, got %lld", what, expected_, got_); \
    } while (0)

#define check_bytes(what, got, expected, size) \
    check(memcmp(got, expected, size) == 0, "%s: the bytes differ", what)

// A system call that has no reason to fail: returns its value.
#define must(call) ({ __typeof__(call) value_ = (call); \
        check((long)value_ != -1, "line %d: %s: %s", __LINE__, #call, strerror(errno)); \
        value_; })

// The same for calls that return an error number (pthread_...).
#define must_zero(call) do { int error_ = (call); \
        if (error_) fail("line %d: %s: %s", __LINE__, #call, strerror(error_)); } while (0)

HELPER double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

HELPER void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {}
}

// Waits until the condition holds; ten seconds are a failure.
#define await(condition, ...) do { \
        double deadline_ = now() + 10; \
        while (!(condition)) { if (now() > deadline_) fail(__VA_ARGS__); sleep_ms(1); } \
    } while (0)

__attribute__((constructor)) HELPER void begin(void)
{
    top_pid = getpid();
    go_path = getenv("FERMATA_GO");
    if (!go_path || !getenv("FERMATA_SCRATCH")) {
        say("usage: FERMATA_GO=FILE FERMATA_SCRATCH=FOLDER program\n");
        _exit(2);
    }
}

// A path in the scratch folder; what lies there at the end is removed.
HELPER char *scratch(const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", getenv("FERMATA_SCRATCH"), name) < 0) fail("out of memory");
    check(scratch_count < 256, "too many scratch files");
    return scratch_paths[scratch_count++] = path;
}

HELPER void ready(void) { say("ready\n"); }

HELPER int is_go(void) { return access(go_path, F_OK) == 0; }

// A child whose parent is gone has nobody to report to: it leaves quietly.
HELPER void wait_go_every(long ms)
{
    while (!is_go()) {
        if (parent_pid && getppid() != parent_pid) _exit(1);
        sleep_ms(ms);
    }
}

HELPER void wait_go(void) { wait_go_every(2); }
HELPER void ready_and_wait(void) { ready(); wait_go(); }

// Called by a child when it is set up.
HELPER void child_ready(void)
{
    must(write(ready_fd, "", 1));
    close(ready_fd);
    ready_fd = -1;
}

// Starts a child that runs body; returns when it has called child_ready().
HELPER pid_t spawn(void (*body)(void *), void *argument)
{
    int p[2];
    must(pipe2(p, O_CLOEXEC));
    pid_t pid = must(fork());
    if (pid == 0) {
        if (ready_fd >= 0) close(ready_fd);
        close(p[0]);
        ready_fd = p[1];
        parent_pid = getppid();
        child_count = 0;
        body(argument);
        _exit(0);
    }
    check(child_count < 512, "too many children");
    children[child_count++] = pid;
    close(p[1]);
    char byte;
    check(read(p[0], &byte, 1) == 1, "child %d did not get ready", pid);
    close(p[0]);
    return pid;
}

// The child is somebody else's business from now on (it was reaped, or left to init).
HELPER void forget_child(pid_t pid)
{
    for (int i = 0; i < child_count; i++)
        if (children[i] == pid) children[i] = children[--child_count];
}

// Reaps a child and returns its wait status.
HELPER int reap(pid_t pid)
{
    int status;
    pid_t got;
    do got = waitpid(pid, &status, 0); while (got < 0 && errno == EINTR);
    check(got == pid, "waitpid(%d) returned %d: %s", pid, got, strerror(errno));
    forget_child(pid);
    return status;
}

// Reaps a child that must have found everything in order.
HELPER void join_child(pid_t pid)
{
    int status = reap(pid);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: wait status 0x%x", pid, status);
}

HELPER pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    must_zero(pthread_create(&thread, NULL, body, argument));
    return thread;
}

HELPER void join_thread(pthread_t thread) { must_zero(pthread_join(thread, NULL)); }

// Waits until a thread (of this process or of a child) sleeps in the given system call.
HELPER void wait_blocked(pid_t tid, long syscall_number)
{
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    for (double deadline = now() + 10; now() < deadline; sleep_ms(1)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        ssize_t n = read(fd, line, sizeof line - 1);
        close(fd);
        if (n <= 0) continue;
        line[n] = 0;
        char *end;
        long number = strtol(line, &end, 10);
        if (end != line && number == syscall_number) return;
    }
    fail("thread %d did not block in system call %ld", tid, syscall_number);
}

// The state letter of /proc/PID/stat, 0 if there is none.
HELPER char process_state(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    if (n <= 0) return 0;
    line[n] = 0;
    char *paren = strrchr(line, ')');
    return paren ? paren[2] : 0;
}

// A file with the given content, in one step.
HELPER void write_file(const char *path, const void *data, size_t size)
{
    int fd = must(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    check(write(fd, data, size) == (ssize_t)size, "%s: write: %s", path, strerror(errno));
    close(fd);
}

// Up to size - 1 bytes of a file, as a string; the number of bytes, or -1.
HELPER ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    size_t used = 0;
    ssize_t n;
    while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0) used += (size_t)n;
    close(fd);
    text[used] = 0;
    return (ssize_t)used;
}

// A pattern that depends on the seed and on every position.
HELPER uint8_t pattern_byte(size_t i, unsigned seed)
{
    uint64_t x = (i / 8 + 1) * 0x9e3779b97f4a7c15u + seed * 0xd1342543de82ef95u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return (uint8_t)((x ^ x >> 32) >> (i % 8 * 8));
}

HELPER void fill(void *memory, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) ((uint8_t *)memory)[i] = pattern_byte(i, seed);
}

HELPER void check_pattern(const char *what, const void *memory, size_t size, unsigned seed)
{
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < size; i++)
        check(bytes[i] == pattern_byte(i, seed), "%s: byte %zu: expected %d, got %d", what, i,
              pattern_byte(i, seed), bytes[i]);
}

HELPER void check_zero(const char *what, const void *memory, size_t size)
{
    for (size_t i = 0; i < size; i++)
        check(((const uint8_t *)memory)[i] == 0, "%s: byte %zu: expected 0, got %d", what, i,
              ((const uint8_t *)memory)[i]);
}

HELPER void write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;)
        done += (size_t)must(write(fd, (const char *)data + done, size - done));
}

// Reads exactly size bytes.
HELPER void read_all(const char *what, int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (char *)data + done, size - done);
        check(n > 0, "%s: read after %zu of %zu bytes: %zd %s", what, done, size, n,
              n < 0 ? strerror(errno) : "(end)");
        done += (size_t)n;
    }
}

// Reads size bytes and compares them with a pattern.
HELPER void read_pattern(const char *what, int fd, size_t size, unsigned seed)
{
    char *data = malloc(size);
    read_all(what, fd, data, size);
    check_pattern(what, data, size, seed);
    free(data);
}

HELPER void write_pattern(int fd, size_t size, unsigned seed)
{
    char *data = malloc(size);
    fill(data, size, seed);
    write_all(fd, data, size);
    free(data);
}

// A non-blocking look: nothing may be readable.
HELPER void check_nothing_to_read(const char *what, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    check(poll(&p, 1, 0) == 0, "%s: unexpected poll events 0x%x", what, p.revents);
}

HELPER void *map_anonymous(size_t size)
{
    return must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

// Memory that parent and children share.
HELPER void *map_shared(size_t size)
{
    return must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

// The line of /proc/self/smaps that starts with the given key, for the mapping that holds address.
HELPER void smaps_line(const void *address, const char *key, char *out, size_t size)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    check(f != NULL, "/proc/self/smaps: %s", strerror(errno));
    char line[512];
    unsigned long start, end, wanted = (unsigned long)address;
    int inside = 0, found = 0;
    while (!found && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = wanted >= start && wanted < end;
        else found = inside && strncmp(line, key, strlen(key)) == 0;
    }
    fclose(f);
    check(found, "no %s in /proc/self/smaps for %p", key, address);
    snprintf(out, size, "%s", line);
}

// Whether the mapping has a flag (two letters, see proc_pid_smaps(5)).
HELPER int has_vm_flag(const void *address, const char *flag)
{
    char line[512], word[8];
    smaps_line(address, "VmFlags:", line, sizeof line);
    snprintf(word, sizeof word, " %s", flag);
    return strstr(line, word) != NULL;
}

// A loopback address of the family, port 0.
HELPER socklen_t loopback(int family, struct sockaddr_storage *address)
{
    memset(address, 0, sizeof *address);
    address->ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        ((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(struct sockaddr_in);
    }
    ((struct sockaddr_in6 *)address)->sin6_addr = in6addr_loopback;
    return sizeof(struct sockaddr_in6);
}

// A socket bound to a loopback port; the address is returned too.
HELPER int bound_socket(int family, int type, struct sockaddr_storage *address, socklen_t *length)
{
    int s = socket(family, type | SOCK_CLOEXEC, 0);
    if (s < 0 && errno == EAFNOSUPPORT) skip("no support for address family %d", family);
    must(s);
    *length = loopback(family, address);
    if (bind(s, (struct sockaddr *)address, *length) < 0) {
        if (errno == EADDRNOTAVAIL) skip("no loopback address of family %d", family);
        fail("bind: %s", strerror(errno));
    }
    must(getsockname(s, (struct sockaddr *)address, length));
    return s;
}

struct connection { int listener, client, server; struct sockaddr_storage address; socklen_t length; };

// A TCP connection over loopback, both ends here.
HELPER struct connection tcp_connection(int family)
{
    struct connection c;
    c.listener = bound_socket(family, SOCK_STREAM, &c.address, &c.length);
    must(listen(c.listener, 16));
    c.client = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    must(connect(c.client, (struct sockaddr *)&c.address, c.length));
    c.server = must(accept4(c.listener, NULL, NULL, SOCK_CLOEXEC));
    return c;
}

// Both ends still know each other by the same addresses.
HELPER void check_addresses(const char *what, int one, int other)
{
    struct sockaddr_storage a = {0}, b = {0};
    socklen_t size_a = sizeof a, size_b = sizeof b;
    must(getsockname(one, (struct sockaddr *)&a, &size_a));
    must(getpeername(other, (struct sockaddr *)&b, &size_b));
    check(size_a == size_b && memcmp(&a, &b, size_a) == 0, "%s: the addresses differ", what);
}

// Bytes go through in both directions.
HELPER void check_exchange(const char *what, int one, int other)
{
    write_pattern(one, 1000, 71);
    write_pattern(other, 1000, 72);
    read_pattern(what, other, 1000, 71);
    read_pattern(what, one, 1000, 72);
}

#endif
