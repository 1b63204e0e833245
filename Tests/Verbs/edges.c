// What happens at the edges of a queue pair's life: requests that are under way when it is reset, put
// into the error state or destroyed, errors that the other side has to notice, lists that are taken in
// part. Both ends of each connection are in this process.
//
// edges CASE ROUNDS
#include <errno.h>
#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(what) \
    do { if (!(what)) { printf("line %d: failed: %s\n", __LINE__, #what); exit(1); } } while (0)

enum { DEPTH = 4, BYTES = 64 << 10 };

static struct ibv_context *context;
static struct ibv_pd *domain;
static unsigned char *memory;    // the first half is the sender's, the second the receiver's
static struct ibv_mr *region;

struct side {
    struct ibv_qp *pair;
    struct ibv_cq *sent, *received;
};

static void modify(struct ibv_qp *pair, enum ibv_qp_state state) {
    struct ibv_qp_attr attributes = {.qp_state = state};
    CHECK(!ibv_modify_qp(pair, &attributes, IBV_QP_STATE));
}

static void connect_to(struct ibv_qp *pair, uint32_t peer, int timeout) {
    struct ibv_port_attr port;
    CHECK(!ibv_query_port(context, 1, &port));
    struct ibv_qp_attr a = {
        .qp_state = IBV_QPS_INIT, .port_num = 1,
        .qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ};
    CHECK(!ibv_modify_qp(pair, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = peer,
        .max_dest_rd_atomic = 1, .min_rnr_timer = 1, .ah_attr = {.dlid = port.lid, .port_num = 1}};
    CHECK(!ibv_modify_qp(pair, &a, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN
                         | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTS, .timeout = timeout, .retry_cnt = 1, .rnr_retry = 7, .max_rd_atomic = 1};
    CHECK(!ibv_modify_qp(pair, &a, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY
                         | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC));
}

static struct side make(struct ibv_comp_channel *channel, struct ibv_srq *shared) {
    struct side side = {
        .sent = ibv_create_cq(context, 16, NULL, channel, 0),
        .received = ibv_create_cq(context, 16, NULL, NULL, 0)};
    CHECK(side.sent && side.received);
    struct ibv_qp_init_attr init = {
        .send_cq = side.sent, .recv_cq = side.received, .srq = shared, .qp_type = IBV_QPT_RC,
        .sq_sig_all = 1,
        .cap = {.max_send_wr = DEPTH, .max_recv_wr = DEPTH, .max_send_sge = 1, .max_recv_sge = 1}};
    CHECK(side.pair = ibv_create_qp(domain, &init));
    return side;
}

static void destroy(struct side side) {
    CHECK(!side.pair || !ibv_destroy_qp(side.pair));
    CHECK(!ibv_destroy_cq(side.sent) && !ibv_destroy_cq(side.received));
}

static void connect_both(struct side *from, struct side *to) {
    connect_to(from->pair, to->pair->qp_num, 14);
    connect_to(to->pair, from->pair->qp_num, 14);
}

static int post(struct side side, enum ibv_wr_opcode opcode, uint32_t bytes, uint32_t key, uint64_t id) {
    struct ibv_sge piece = {(uintptr_t)memory, bytes, region->lkey};
    struct ibv_send_wr request = {
        .wr_id = id, .sg_list = &piece, .num_sge = 1, .opcode = opcode,
        .wr.rdma = {(uintptr_t)memory + BYTES, key}}, *bad;
    return ibv_post_send(side.pair, &request, &bad);
}

static int receive(struct side side, uint64_t id) {
    struct ibv_sge piece = {(uintptr_t)memory + BYTES, BYTES, region->lkey};
    struct ibv_recv_wr request = {.wr_id = id, .sg_list = &piece, .num_sge = 1}, *bad;
    return ibv_post_recv(side.pair, &request, &bad);
}

/// The next completion, within ten seconds.
static struct ibv_wc next(struct ibv_cq *queue) {
    struct ibv_wc entry;
    for (int i = 0; i < 100000; i++) {
        int n = ibv_poll_cq(queue, 1, &entry);
        CHECK(n >= 0);
        if (n) return entry;
        if (i > 100) usleep(100);
    }
    CHECK(!"a completion");
    return entry;
}

static void expect(struct ibv_cq *queue, uint64_t id, enum ibv_wc_status status) {
    struct ibv_wc entry = next(queue);
    if (entry.wr_id != id || entry.status != status) {
        printf("request %llu: %s, not %llu: %s\n", (unsigned long long)entry.wr_id,
               ibv_wc_status_str(entry.status), (unsigned long long)id, ibv_wc_status_str(status));
        exit(1);
    }
}

/// Nothing comes, however often is looked.
static void expect_none(struct ibv_cq *queue) {
    struct ibv_wc entry;
    for (int i = 0; i < 600; i++) CHECK(ibv_poll_cq(queue, 1, &entry) == 0);
}

/// A large message that was flushed is not delivered: its buffer is the application's again.
static void flushed_send(int round) {
    struct side from = make(NULL, NULL), to = make(NULL, NULL);
    connect_both(&from, &to);
    memset(memory, 1, BYTES);
    CHECK(!receive(to, 7));
    CHECK(!post(from, IBV_WR_SEND, BYTES, 0, 1));
    if (round % 3 == 0) usleep(round % 50);
    modify(from.pair, IBV_QPS_ERR);
    struct ibv_wc entry = next(from.sent);
    memset(memory, 2, BYTES);
    struct ibv_wc arrived;
    int n = 0;
    for (int i = 0; i < 600 && !n; i++) CHECK((n = ibv_poll_cq(to.received, 1, &arrived)) >= 0);
    // Either it was delivered, as it was when it was sent, or it was not.
    if (n) for (int i = 0; i < BYTES; i++) CHECK(memory[BYTES + i] == 1);
    CHECK(n || entry.status == IBV_WC_WR_FLUSH_ERR);
    destroy(from), destroy(to);
}

/// What a flushed RDMA READ would have brought does not come any more.
static void flushed_read(int round) {
    struct side from = make(NULL, NULL), to = make(NULL, NULL);
    connect_both(&from, &to);
    memset(memory + BYTES, 1, BYTES);
    // Without a receive the message waits, and the READ behind it.
    CHECK(!post(from, IBV_WR_SEND, 8, 0, 1) && !post(from, IBV_WR_RDMA_READ, 4096, region->rkey, 2));
    if (round % 2) usleep(50);
    if (round % 4 < 2) modify(from.pair, IBV_QPS_ERR);
    else modify(from.pair, IBV_QPS_RESET);
    memset(memory, 2, BYTES);
    CHECK(!receive(to, 7));
    struct ibv_wc entry;
    for (int i = 0; i < 600; i++) CHECK(ibv_poll_cq(to.received, 1, &entry) >= 0);
    for (int i = 0; i < 4096; i++) CHECK(memory[i] == 2);
    destroy(from), destroy(to);
}

/// What was sent before both were reset is none of the new connection's.
static void reconnected(int round) {
    struct side from = make(NULL, NULL), to = make(NULL, NULL);
    connect_both(&from, &to);
    memory[0] = 1;
    CHECK(!post(from, IBV_WR_SEND, 8, 0, 1));
    if (round % 3 == 0) usleep(round % 50);
    modify(from.pair, IBV_QPS_RESET);
    modify(to.pair, IBV_QPS_RESET);
    connect_both(&from, &to);
    CHECK(!receive(to, 7) && !receive(to, 8));
    expect_none(to.received);
    expect_none(from.sent);
    memory[0] = 2;
    CHECK(!post(from, IBV_WR_SEND, 8, 0, 2));
    expect(to.received, 7, IBV_WC_SUCCESS);
    expect(from.sent, 2, IBV_WC_SUCCESS);
    CHECK(memory[BYTES] == 2);
    destroy(from), destroy(to);
}

/// Who receives a message that had waited, and destroys its queue pair at once, has acknowledged it.
static void received_at_the_end(int round) {
    (void)round;
    struct side from = make(NULL, NULL), to = make(NULL, NULL);
    connect_both(&from, &to);
    CHECK(!post(from, IBV_WR_SEND, 8, 0, 1));
    expect_none(to.received);
    CHECK(!receive(to, 7));
    expect(to.received, 7, IBV_WC_SUCCESS);
    CHECK(!ibv_destroy_qp(to.pair));
    to.pair = NULL;
    expect(from.sent, 1, IBV_WC_SUCCESS);
    destroy(from), destroy(to);
}

/// A request that may not touch the memory fails on both sides (IBTA 9.7.5.2.4, C9-222).
static void refused_access(int round) {
    struct side from = make(NULL, NULL), to = make(NULL, NULL);
    connect_both(&from, &to);
    CHECK(!receive(to, 7));
    enum ibv_wr_opcode opcode = round & 1 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
    CHECK(!post(from, opcode, round & 2 ? 8 : BYTES, region->rkey ^ 1, 1));
    expect(from.sent, 1, IBV_WC_REM_ACCESS_ERR);
    expect(to.received, 7, IBV_WC_WR_FLUSH_ERR);
    struct ibv_async_event event;
    CHECK(!ibv_get_async_event(context, &event));
    CHECK(event.event_type == IBV_EVENT_QP_ACCESS_ERR && event.element.qp == to.pair);
    ibv_ack_async_event(&event);
    destroy(from), destroy(to);
}

/// Of a list that is too long, the part that was taken receives what waits, or is flushed.
static void list_in_part(int round) {
    struct side from = make(NULL, NULL), to = make(NULL, NULL);
    connect_both(&from, &to);
    if (round & 1) {
        CHECK(!post(from, IBV_WR_SEND, 8, 0, 1));
        expect_none(to.received);
    } else {
        modify(to.pair, IBV_QPS_ERR);
    }
    struct ibv_sge piece = {(uintptr_t)memory + BYTES, 8, region->lkey};
    struct ibv_recv_wr list[DEPTH + 1], *bad = NULL;
    for (int i = 0; i <= DEPTH; i++)
        list[i] = (struct ibv_recv_wr){
            .wr_id = i, .sg_list = &piece, .num_sge = 1, .next = i < DEPTH ? &list[i + 1] : NULL};
    CHECK(ibv_post_recv(to.pair, list, &bad) == ENOMEM && bad == &list[DEPTH]);
    expect(to.received, 0, round & 1 ? IBV_WC_SUCCESS : IBV_WC_WR_FLUSH_ERR);
    destroy(from), destroy(to);
}

/// Somebody who waits for an event is told that there is nobody at the other end.
static void nobody(int round) {
    (void)round;
    struct ibv_comp_channel *channel = ibv_create_comp_channel(context);
    CHECK(channel);
    usleep(20000);  // as long as nothing is there, nothing is looked at
    struct side from = make(channel, NULL), to = make(NULL, NULL);
    connect_to(from.pair, to.pair->qp_num, 10);
    CHECK(!ibv_req_notify_cq(from.sent, 0));
    CHECK(!post(from, IBV_WR_RDMA_WRITE, 8, region->rkey, 1));
    struct ibv_cq *queue;
    void *data;
    CHECK(!ibv_get_cq_event(channel, &queue, &data));
    ibv_ack_cq_events(queue, 1);
    expect(from.sent, 1, IBV_WC_RETRY_EXC_ERR);
    destroy(from), destroy(to);
    CHECK(!ibv_destroy_comp_channel(channel));
}

static void *watch(void *unused) {
    struct ibv_async_event event;
    while (!ibv_get_async_event(context, &event)) ibv_ack_async_event(&event);
    return unused;
}

/// An event that is taken while what it is about is destroyed.
static void event_of_destroyed(int round) {
    static pthread_t thread;
    if (!thread) CHECK(!pthread_create(&thread, NULL, watch, NULL));
    struct ibv_srq_init_attr wanted = {.attr = {.max_wr = 1, .max_sge = 1}};
    struct ibv_srq *shared = ibv_create_srq(domain, &wanted);
    CHECK(shared);
    struct side side = make(NULL, shared);
    modify(side.pair, IBV_QPS_ERR);
    if (round % 4 == 0) usleep(round % 30);
    destroy(side);
    CHECK(!ibv_destroy_srq(shared));
}

/// Memory that no process has.
static void impossible_memory(int round) {
    (void)round;
    void *anywhere[] = {NULL, memory, (void *)UINTPTR_MAX};
    size_t lengths[] = {SIZE_MAX, SIZE_MAX - 4095, (size_t)1 << 63, SIZE_MAX / 2};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) {
            errno = 0;
            CHECK(!ibv_reg_mr(domain, anywhere[i], lengths[k], IBV_ACCESS_LOCAL_WRITE) && errno);
        }
}

static const struct { const char *name; void (*run)(int round); } cases[] = {
    {"flushed-send", flushed_send}, {"flushed-read", flushed_read}, {"reconnected", reconnected},
    {"received-at-the-end", received_at_the_end}, {"refused-access", refused_access},
    {"list-in-part", list_in_part}, {"nobody", nobody}, {"event-of-destroyed", event_of_destroyed},
    {"impossible-memory", impossible_memory},
};

int main(int argc, char **argv) {
    CHECK(argc == 3);
    struct ibv_device **list = ibv_get_device_list(NULL);
    CHECK(list && list[0] && (context = ibv_open_device(list[0])) && (domain = ibv_alloc_pd(context)));
    memory = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(region = ibv_reg_mr(domain, memory, 2 * BYTES,
                              IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ));
    int rounds = atoi(argv[2]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(argv[1], cases[i].name)) {
            for (int round = 0; round < rounds; round++) cases[i].run(round);
            printf("%d rounds\n", rounds);
            return 0;
        }
    printf("no case %s\n", argv[1]);
    return 1;
}
