// wire.c's other process as one of another node: it has the job's key, and speaks over TCP.
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

// struct fabric_hello, fabric_claim and fabric_welcome of CVerbs/include/Fabric.h.
struct hello { uint64_t magic, nonce[2]; };
struct claim { uint64_t magic, nonce[2], slot, life, proof; };

static int listener, outgoing = -1, incoming = -1;

// SipHash-2-4 of whole words, as its authors give it.
static uint64_t siphash(const uint64_t key[2], const uint64_t *words, int count)
{
    uint64_t a = key[0] ^ 0x736f6d6570736575, b = key[1] ^ 0x646f72616e646f6d, c = key[0] ^ 0x6c7967656e657261,
             d = key[1] ^ 0x7465646279746573;
#define TURN(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define ROUND a += b, b = TURN(b, 13) ^ a, a = TURN(a, 32), c += d, d = TURN(d, 16) ^ c, \
    a += d, d = TURN(d, 21) ^ a, c += b, b = TURN(b, 17) ^ c, c = TURN(c, 32)
    for (int i = 0; i <= count; i++) {
        uint64_t word = i < count ? words[i] : (uint64_t)count * 8 << 56;
        d ^= word, ROUND, ROUND, a ^= word;
    }
    c ^= 0xff, ROUND, ROUND, ROUND, ROUND;
    return a ^ b ^ c ^ d;
}

static uint64_t proof(uint64_t role, const struct hello *hello, const struct claim *claim)
{
    uint64_t words[] = { role, hello->nonce[0], hello->nonce[1], claim->nonce[0], claim->nonce[1], claim->slot,
        claim->life };
    return siphash(segment->key, words, 7);
}

static void prepare_peer(void)
{
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof place;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    ok(bind(listener, (struct sockaddr *)&place, sizeof place));
    ok(listen(listener, 16));
    ok(getsockname(listener, (struct sockaddr *)&place, &size));
    segment->slots[1].node = 2, segment->slots[1].port = ntohs(place.sin_port);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &segment->slots[1].address);
    segment->spans_nodes = 1;
}

// All of it, while the library makes progress. False: the connection has ended.
static int exchange(int s, void *bytes, size_t count, int sends)
{
    struct ibv_wc done;
    for (size_t at = 0; at < count;) {
        ssize_t n = sends ? send(s, (char *)bytes + at, count - at, MSG_DONTWAIT | MSG_NOSIGNAL)
                          : recv(s, (char *)bytes + at, count - at, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
        if (n > 0) at += n;
        else ibv_poll_cq(cq, 1, &done);
    }
    return 1;
}

static void put(const struct record *record, const uint8_t *payload, size_t count)
{
    uint8_t bytes[sizeof *record + 256] = { 0 };
    memcpy(bytes, record, sizeof *record);
    memcpy(bytes + sizeof *record, payload, count);
    if (outgoing >= 0) exchange(outgoing, bytes, (sizeof *record + count + 7) & ~7ul, 1);
}

static int is_open(int s)
{
    char byte;
    ssize_t n = s < 0 ? 0 : recv(s, &byte, 1, MSG_DONTWAIT);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

// As a new process, so that the library does not wait before it connects again.
static void connect_again(void)
{
    struct ibv_wc done;
    if (outgoing >= 0) close(outgoing);
    if (incoming >= 0) close(incoming);
    segment->slots[1].life++;
    while (segment->slots[0].port == 0) ibv_poll_cq(cq, 1, &done);
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(segment->slots[0].port) };
    struct hello hello;
    struct claim claim = { .slot = 1, .life = segment->slots[1].life };
    uint64_t welcome;
    outgoing = socket(AF_INET, SOCK_STREAM, 0);
    ok(connect(outgoing, (struct sockaddr *)&place, sizeof place));
    must(exchange(outgoing, &hello, sizeof hello, 0));
    claim.magic = hello.magic, claim.proof = proof(1, &hello, &claim);
    must(exchange(outgoing, &claim, sizeof claim, 1) && exchange(outgoing, &welcome, sizeof welcome, 0));
    must(welcome == proof(2, &hello, &claim));
    bring_up(reliable);  // the announcement makes the library connect
    for (;; close(incoming)) {  // one of an earlier life may come first
        while ((incoming = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) < 0) ibv_poll_cq(cq, 1, &done);
        if (exchange(incoming, &hello, sizeof hello, 1) && exchange(incoming, &claim, sizeof claim, 0)) break;
    }
    welcome = proof(2, &hello, &claim);
    must(claim.proof == proof(1, &hello, &claim) && exchange(incoming, &welcome, sizeof welcome, 1));
}

static void connect_peer(void)
{
    static char answers[1 << 16];
    if (!is_open(outgoing)) connect_again();
    while (recv(incoming, answers, sizeof answers, MSG_DONTWAIT) > 0) {}
    struct ibv_qp *pairs[] = { reliable, unreliable, onShared };
    for (int i = 0; i < 3; i++) {
        struct record ready = { .bytes = sizeof ready, .kind = 10, .status = IBV_QPS_RTS,
            .destination = pairs[i]->qp_num, .source = peer };
        put(&ready, NULL, 0);
    }
}
