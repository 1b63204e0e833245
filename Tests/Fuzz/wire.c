// libFuzzer: records as a broken or hostile process of the same job could write them into this one's ring.
//
// The other end is slot 1 of the segment, whose process is a child that only sleeps: what this process does to
// the memory of a peer does not hurt the fuzzer. An input is a sequence of records: a byte of flags says which
// of the fields that make a record worth looking at are put right (length, queue pair, key, address).
//
// With OVER_LINK slot 1 is on another node: the records come over a TCP connection, as from a process that knows
// the job's key, and what is sent back over another.
#include "fuzz.h"
#include <FabricSegment.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

// struct fabric_record of CVerbs/include/Fabric.h, which is not for C programs.
struct record {
    uint32_t bytes;
    uint8_t kind, flags;
    uint16_t status;
    uint32_t destination, source;
    uint64_t sequence, length, address, operands[2];
    uint32_t key, immediate;
};

enum { BUFFER = 64 << 10, RECEIVES = 64 };

static struct fabric_segment *segment;
static struct fabric_ring *ring;
static struct ibv_context *context;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_srq *srq;
static struct ibv_qp *reliable, *unreliable, *datagram, *onShared;
static struct ibv_mr *region;
static char *buffer;
static uint32_t peer;

static struct fabric_segment *find_segment(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    void *found = NULL;
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "/memfd:fermata-verbs")) found = (void *)strtoul(line, NULL, 16);
    fclose(maps);
    return must(found);
}

static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    return pid;
}

static struct ibv_qp *make(enum ibv_qp_type type, struct ibv_srq *shared)
{
    struct ibv_qp_init_attr wanted = { .send_cq = cq, .recv_cq = cq, .srq = shared, .qp_type = type, .sq_sig_all = 1,
        .cap = { .max_send_wr = 8, .max_recv_wr = RECEIVES, .max_send_sge = 2, .max_recv_sge = 2 } };
    return must(ibv_create_qp(pd, &wanted));
}

// Into RTS, connected with the queue pair that slot 1 is said to have.
static void bring_up(struct ibv_qp *qp)
{
    int all = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;
    struct ibv_qp_attr a = { .qp_state = IBV_QPS_RESET };
    ok(ibv_modify_qp(qp, &a, IBV_QP_STATE));
    int isDatagram = qp->qp_type == IBV_QPT_UD, isReliable = qp->qp_type == IBV_QPT_RC;
    a = (struct ibv_qp_attr){ .qp_state = IBV_QPS_INIT, .port_num = 1, .qp_access_flags = isReliable ? all :
        IBV_ACCESS_REMOTE_WRITE, .qkey = 7 };
    ok(ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
        (isDatagram ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS)));
    a = (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = peer,
        .max_dest_rd_atomic = 4, .min_rnr_timer = 1, .ah_attr = { .dlid = 1, .port_num = 1 } };
    int connected = IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
    int reliability = IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
    ok(ibv_modify_qp(qp, &a, IBV_QP_STATE | (isDatagram ? 0 : connected) | (isReliable ? reliability : 0)));
    a = (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTS, .timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
        .max_rd_atomic = 4 };
    int sending = IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
    ok(ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_SQ_PSN | (isReliable ? sending : 0)));
}

static void post(struct ibv_qp *qp)
{
    struct ibv_sge piece = { (uintptr_t)buffer + BUFFER / 2, 256, region->lkey };
    struct ibv_recv_wr receive = { .sg_list = &piece, .num_sge = 1 }, *bad;
    if (qp->srq) ibv_post_srq_recv(srq, &receive, &bad);
    else ibv_post_recv(qp, &receive, &bad);
    if (qp->qp_type == IBV_QPT_UD) return;
    // Something of every kind waits for an answer.
    static const enum ibv_wr_opcode kinds[] = { IBV_WR_SEND, IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_SEND };
    for (int i = 0; i < (qp->qp_type == IBV_QPT_RC ? 3 : 1); i++) {
        struct ibv_sge out = { (uintptr_t)buffer, 8, region->lkey };
        struct ibv_send_wr send = { .sg_list = &out, .num_sge = 1, .opcode = kinds[i] }, *not_sent;
        ibv_post_send(qp, &send, &not_sent);
    }
}

#ifdef OVER_LINK
#include "link.h"
#else
static void prepare_peer(void) {}
static void connect_peer(void) {}

static void put(const struct record *record, const uint8_t *payload, size_t count)
{
    uint64_t position = ring->head % FABRIC_RING_BYTES;
    size_t bytes = (sizeof *record + count + 7) & ~7ul;
    uint8_t *data = (uint8_t *)(ring + 1);
    if (position + bytes > FABRIC_RING_BYTES) {
        memset(data + position, 0, 4);
        ring->head += FABRIC_RING_BYTES - position;
        position = 0;
    }
    memcpy(data + position, record, sizeof *record);
    memcpy(data + position + sizeof *record, payload, count);
    __atomic_store_n(&ring->head, ring->head + bytes, __ATOMIC_RELEASE);
}
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct ibv_device **devices = must(ibv_get_device_list(NULL));
    context = must(ibv_open_device(devices[0]));
    pd = must(ibv_alloc_pd(context));
    cq = must(ibv_create_cq(context, 4096, NULL, NULL, 0));
    struct ibv_srq_init_attr shared = { .attr = { .max_wr = RECEIVES, .max_sge = 2 } };
    srq = must(ibv_create_srq(pd, &shared));
    buffer = aligned_alloc(4096, BUFFER);
    region = must(ibv_reg_mr(pd, buffer, BUFFER, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
        IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC));
    reliable = make(IBV_QPT_RC, NULL), unreliable = make(IBV_QPT_UC, NULL);
    datagram = make(IBV_QPT_UD, NULL), onShared = make(IBV_QPT_RC, srq);
    segment = find_segment();
    // The other process: a slot, a queue pair that is ready, and its ring to us behind all that is in use.
    segment->slots[1].pid = segment->slots[1].thread = sleeper();
    peer = 0x5000;
    segment->queue_pairs[peer] = (struct fabric_queue_pair){ .owner = 2, .state = IBV_QPS_RTS, .kind = FABRIC_PAIR,
        .peer = reliable->qp_num, .access = 15 };
    uint64_t at = __atomic_fetch_add(&segment->used, sizeof(struct fabric_ring) + FABRIC_RING_BYTES, __ATOMIC_SEQ_CST);
    segment->slots[0].incoming[1] = at;
    prepare_peer();
    ring = (struct fabric_ring *)((char *)segment + at);
    return 0;
}

static size_t take_record(struct bytes *in)
{
    struct ibv_qp *pairs[] = { reliable, unreliable, datagram, onShared };
    struct record record;
    uint8_t payload[256];
    uint8_t right = byte_of(in), which = byte_of(in);
    take(in, &record, sizeof record);
    size_t count = byte_of(in);
    take(in, payload, count);
    if (right & 1 || which < 250) record.bytes = (sizeof record + count + 7) & ~7ul;
    if (right & 2) record.destination = pairs[which % 4]->qp_num, record.source = peer;
    if (right & 4) record.key = region->rkey;
    if (right & 8) record.address = (uintptr_t)buffer + record.address % BUFFER;
    if (right & 16) record.length = count, record.flags &= ~8;
    if (right & 32) record.kind = 1 + record.kind % 12;
    if (right & 64) record.operands[0] = 7;
    if (right & 128) record.sequence %= 4, record.length %= 1024, record.operands[0] %= 512;
    put(&record, payload, count);
    return record.bytes;
}

static void reset_if_broken(struct ibv_qp *qp)
{
    struct ibv_qp_attr attributes;
    struct ibv_qp_init_attr initial;
    ok(ibv_query_qp(qp, &attributes, IBV_QP_STATE, &initial));
    bring_up(qp);
    for (int i = 0; i < 3; i++) post(qp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = { data, data + size };
    struct ibv_wc done[64];
    reset_if_broken(reliable), reset_if_broken(unreliable), reset_if_broken(datagram), reset_if_broken(onShared);
    connect_peer();
    while (in.next < in.end) {
        for (int i = 0; i < 8 && in.next < in.end; i++) take_record(&in);
        __atomic_fetch_or(&segment->slots[0].active[0], 2, __ATOMIC_SEQ_CST);
        while (ibv_poll_cq(cq, 64, done) > 0) {}
    }
    struct ibv_async_event event;
    drain_events(context, &event);
    // Our own answers go to a process that never reads them.
    uint64_t back = segment->slots[1].incoming[0];
    if (back) {
        struct fabric_ring *theirs = (struct fabric_ring *)((char *)segment + back);
        __atomic_store_n(&theirs->tail, theirs->head, __ATOMIC_RELEASE);
    }
    return 0;
}
