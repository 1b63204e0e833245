// Comes to a port at which a process of a job listens for its peers on other nodes, without knowing the
// job's key.
//
//   intruder PORT
//
// Claims to be each of the job's first processes, with proofs that it makes up, and sends records behind the
// claim; sends what is no claim; and leaves more connections open, without a word, than there can be of those
// who have not yet said whose they are. It must be turned away each time: a hello, then the end.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(condition, ...) do { if (!(condition)) { \
    printf("FAILED: "); printf(__VA_ARGS__); printf(" (errno %d)\n", errno); exit(1); } } while (0)

// struct fabric_hello and fabric_claim of Sources/CVerbs/include/Fabric.h.
struct hello { uint64_t magic, nonce[2]; };
struct claim { uint64_t magic, nonce[2], slot, life, proof; };

static struct sockaddr_in place = {.sin_family = AF_INET};

static int come(struct hello *hello) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    MUST(s >= 0 && connect(s, (struct sockaddr *)&place, sizeof place) == 0, "connect");
    MUST(recv(s, hello, sizeof *hello, MSG_WAITALL) == sizeof *hello, "no hello");
    return s;
}

// The connection ends, and nothing comes before.
static void expect_end(int s, const char *what) {
    char bytes[64];
    struct pollfd p = {.fd = s, .events = POLLIN};
    MUST(poll(&p, 1, 10000) == 1, "%s: still connected after 10 s", what);
    ssize_t n = recv(s, bytes, sizeof bytes, 0);
    MUST(n == 0 || (n < 0 && errno == ECONNRESET), "%s: was answered with %zd bytes", what, n);
    close(s);
}

int main(int argc, char **argv) {
    if (argc < 2) return fprintf(stderr, "usage: intruder PORT\n"), 64;
    place.sin_port = htons(atoi(argv[1]));
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct hello hello, other;
    for (int i = 0; i < 20; i++) {
        int s = come(&hello);
        struct { struct claim claim; char records[4096]; } lie;
        MUST(getrandom(&lie, sizeof lie, 0) == sizeof lie, "getrandom");
        lie.claim.magic = hello.magic, lie.claim.slot = i % 4, lie.claim.life = 1 + i / 4;
        if (i & 1) memcpy(lie.claim.nonce, hello.nonce, sizeof hello.nonce);
        if (i == 19) lie.claim.magic++;
        MUST(send(s, &lie, sizeof lie, MSG_NOSIGNAL) == sizeof lie, "send");
        expect_end(s, "a claim without proof");
    }
    close(come(&hello)), close(come(&other));
    MUST(memcmp(hello.nonce, other.nonce, sizeof hello.nonce) != 0, "twice the same nonce");
    // More than it waits for at a time: the last ones get their turn when the first have been silent too long.
    int silent[100];
    for (int i = 0; i < 100; i++) silent[i] = come(&hello);
    expect_end(silent[0], "a silent connection");
    puts("turned away");
    return 0;
}
