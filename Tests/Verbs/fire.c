// Two processes fire requests of one service of the verbs at each other, many at a time, and check
// everything that comes out of it.
//
//   fire SERVICE [ROUNDS [apart]]
//
// SERVICE: rc uc ud srq xrc events read write atomic imm. Every rank sends ROUNDS messages to the
// other (reads them from it; adds to the counter), numbers every request, and computes every byte
// from service, sender, sequence number and position. "apart": as if they were on two nodes, so that
// nothing but TCP is between them. What is wrong is said on stdout, exit
// status 1. What is printed otherwise is the same in every run.
#include <arpa/inet.h>
#include <errno.h>
#include <infiniband/verbs.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WINDOW = 16,            // messages ahead of what came in
    SLOTS = 2 * WINDOW,     // room for messages
    LARGEST_DATAGRAM = 4096,
    ROUTE_HEADER = 40,
    GUARD = 16,             // bytes behind a message that nobody may change
    MOST_QPS = 4,
    BATCH = 4,              // requests posted in one list
    READS = 4,              // reads and atomics under way at a time
    RING = 256,             // a power of two above the number of requests under way
    INLINE = 64,
    QKEY = 0x11111111,
};

enum service { RC, UC, UD, SRQ, XRC, EVENTS, READ, WRITE, ATOMIC, IMM, SERVICES };
static const struct { const char *name; uint64_t rounds; } services[SERVICES] = {
    {"rc", 400000}, {"uc", 350000}, {"ud", 1500000}, {"srq", 350000}, {"xrc", 500000}, {"events", 500000},
    {"read", 350000}, {"write", 300000}, {"atomic", 1000000}, {"imm", 450000},
};

static enum service service;
static uint64_t rounds;
static bool apart;              // on two nodes: nothing but TCP is between the ranks
static uint32_t largest;        // message: when they are apart, more than travels in one piece
static uint64_t slot_bytes;
static bool shared;             // several queue pairs, one queue of receives
static int rank, wire;
static pid_t child;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...) {
    char text[512];
    va_list list;
    va_start(list, format);
    int n = snprintf(text, sizeof text, "FAILED %s, rank %d: ", services[service].name, rank);
    n += vsnprintf(text + n, sizeof text - n - 1, format, list);
    if (n > (int)sizeof text - 2) n = sizeof text - 2;
    text[n++] = '\n';
    if (write(1, text, n) < 0) {}
    if (rank == 0) kill(child, SIGKILL);
    _exit(1);
}
#define MUST(condition, ...) do { if (!(condition)) fail(__VA_ARGS__); } while (0)
#define OK(call) do { errno = 0; int r_ = (call); \
    if (r_) fail("%s: %d (errno %d)", #call, r_, errno); } while (0)

// MARK: what every message is

static uint64_t mix(uint64_t x) {
    x ^= x >> 30; x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27; x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}
// Of the message that `from` sends under that number.
static uint64_t seed_of(int from, uint64_t sequence) {
    return mix((sequence << 8 | (uint64_t)service << 1 | (uint64_t)from) + 0x9e3779b97f4a7c15ull);
}
static uint32_t length_of(int from, uint64_t sequence) {
    uint64_t r = seed_of(from, sequence), size = r >> 8;
    if (service == UD) return (r & 7) == 0 ? size & 1 : size % (LARGEST_DATAGRAM + 1);
    switch (r & 15) {
    case 0: return size & 1;
    case 1: return largest - (size & 1);
    case 2: return size % (largest + 1);
    case 3: case 4: case 5: case 6: return size % 8192;
    default: return size % 513;
    }
}
static bool has_immediate(int from, uint64_t sequence) {
    return service == IMM || (service != WRITE && seed_of(from, sequence) >> 60 < 4);
}
static uint32_t immediate_of(int from, uint64_t sequence) {
    return (uint32_t)mix(seed_of(from, sequence) + 1);
}
static int qp_of(int from, uint64_t sequence) {
    return shared ? seed_of(from, sequence) >> 40 & (MOST_QPS - 1) : 0;
}
static uint64_t word_of(uint64_t seed, uint64_t index) {
    uint64_t x = (seed + index) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}
static void fill(uint8_t *to, int from, uint64_t sequence, uint32_t length) {
    uint64_t seed = seed_of(from, sequence);
    for (uint32_t at = 0; at < length; at += 8) {
        uint64_t word = word_of(seed, at / 8);
        memcpy(to + at, &word, length - at < 8 ? length - at : 8);
    }
}
static void check(const uint8_t *data, int from, uint64_t sequence, uint32_t length) {
    uint64_t seed = seed_of(from, sequence);
    for (uint32_t at = 0; at < length; at += 8) {
        uint64_t word = word_of(seed, at / 8), got = word;
        uint32_t n = length - at < 8 ? length - at : 8;
        memcpy(&got, data + at, n);
        if (got == word) continue;
        // Whose is it, if it is one of the neighbours?
        long long other = -1;
        for (uint64_t s = sequence > 200 ? sequence - 200 : 0; s < sequence + 200 && n == 8; s++)
            if (word_of(seed_of(from, s), at / 8) == got) other = s;
        fail("message %llu of %u bytes is damaged from byte %u: %016llx, expected %016llx"
             " (message with these bytes there: %lld)", (unsigned long long)sequence, length, at,
             (unsigned long long)got, (unsigned long long)word, other);
    }
}
static void put_guard(uint8_t *end) { memset(end, 0xa5, GUARD); }
static void check_guard(const uint8_t *end, uint64_t sequence) {
    for (int i = 0; i < GUARD; i++)
        MUST(end[i] == 0xa5, "byte %d behind message %llu was written: %02x", i,
             (unsigned long long)sequence, end[i]);
}
static void progress(uint64_t done) {
    uint64_t step = rounds / 40 ? rounds / 40 : 1;
    if (rank == 0 && done % step == 0) printf("%llu rounds\n", (unsigned long long)done);
}

// MARK: the two processes

static void tell(const void *data, size_t n) {
    for (const uint8_t *p = data; n;) {
        ssize_t k = write(wire, p, n);
        if (k < 0 && errno == EINTR) continue;
        MUST(k > 0, "write to the other rank: %zd (errno %d)", k, errno);
        p += k; n -= k;
    }
}
static void hear(void *data, size_t n) {
    for (uint8_t *p = data; n;) {
        ssize_t k = read(wire, p, n);
        if (k < 0 && errno == EINTR) continue;
        MUST(k > 0, "read from the other rank: %zd (errno %d)", k, errno);
        p += k; n -= k;
    }
}
static void barrier(uint32_t number) {
    uint32_t other = 0;
    tell(&number, sizeof number);
    hear(&other, sizeof other);
    MUST(other == number, "the other rank is at %u, this one at %u", other, number);
}
// Rank 1 does not end before rank 0 knows that both are through, unless something is wrong.
static void child_ended(int signal_number) {
    (void)signal_number;
    int status;
    if (waitpid(child, &status, WNOHANG) == child && status != 0) {
        static const char text[] = "FAILED: rank 1 ended early\n";
        if (write(1, text, sizeof text - 1) < 0) {}
        _exit(1);
    }
}

// MARK: objects

static struct ibv_context *context;
static struct ibv_pd *pd;
static struct ibv_comp_channel *channel;
static struct ibv_cq *send_cq, *receive_cq;
static struct ibv_srq *srq;
static struct ibv_xrcd *xrcd;
static int qps;
static struct queue {
    struct ibv_qp *qp;
    struct ibv_qp *target;                      // XRC: what the peer's sends come to
    uint32_t remote;                            // number of the peer's
    struct expected { uint64_t sequence; uint32_t length; enum ibv_wc_opcode opcode; } ring[RING];
    uint64_t posted, completed;                 // signalled send requests
    uint64_t next_in;                           // least number the next message can have
} queues[MOST_QPS + 1];
static struct queue *const loop = &queues[MOST_QPS];    // rank 0's connection with itself
static struct ibv_ah *ah[2];
static uint8_t *out, *in;
static struct ibv_mr *out_mr, *in_mr;
static unsigned events_got[2];
static struct control { volatile uint64_t produced, consumed, sum, swapped; } *control, *seen;
static struct ibv_mr *control_mr, *seen_mr;
static struct hello {
    uint32_t numbers[MOST_QPS], targets[MOST_QPS], shared, psn, rkey_in, rkey_out, rkey_control;
    uint64_t in, out, control;
    uint16_t lid;
    union ibv_gid gid;
} mine, theirs;

static void *pages(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED, "mmap");
    return p;
}

static void open_xrc(void) {
    // Both processes name the domain by the same file.
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    MUST(file >= 0, "open: errno %d", errno);
    struct ibv_xrcd_init_attr domain = {
        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS, .fd = file, .oflags = O_CREAT,
    };
    MUST(xrcd = ibv_open_xrcd(context, &domain), "ibv_open_xrcd: errno %d", errno);
    close(file);
    struct ibv_srq_init_attr_ex init = {
        .attr = {.max_wr = SLOTS, .max_sge = 2}, .srq_type = IBV_SRQT_XRC, .pd = pd, .xrcd = xrcd,
        .cq = receive_cq, .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD
            | IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
    };
    MUST(srq = ibv_create_srq_ex(context, &init), "ibv_create_srq_ex: errno %d", errno);
    OK(ibv_get_srq_num(srq, &mine.shared));
}

static struct ibv_qp *make_target(void) {
    struct ibv_qp_init_attr_ex init = {
        .qp_type = IBV_QPT_XRC_RECV, .comp_mask = IBV_QP_INIT_ATTR_XRCD, .xrcd = xrcd,
    };
    struct ibv_qp *qp = ibv_create_qp_ex(context, &init);
    MUST(qp, "ibv_create_qp_ex: errno %d", errno);
    return qp;
}

static struct ibv_qp *make_qp(enum ibv_qp_type type) {
    struct ibv_qp_init_attr init = {
        .qp_type = type, .send_cq = send_cq, .recv_cq = receive_cq,
        .srq = type == IBV_QPT_XRC_SEND ? NULL : srq,
        .sq_sig_all = service == UC || service == IMM,
        .cap = {.max_send_wr = 4 * WINDOW, .max_recv_wr = SLOTS, .max_send_sge = 3, .max_recv_sge = 2,
                .max_inline_data = INLINE},
    };
    struct ibv_qp *qp = ibv_create_qp(pd, &init);
    MUST(qp, "ibv_create_qp: errno %d", errno);
    return qp;
}

static void modify(struct ibv_qp *qp, uint32_t remote, uint16_t lid, uint32_t psn, uint32_t remote_psn) {
    enum ibv_qp_type type = qp->qp_type;
    struct ibv_qp_attr a = {
        .qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = QKEY,
        .qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC,
    };
    if (type == IBV_QPT_UC) a.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    OK(ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT
                     | (type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS)));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = remote, .rq_psn = remote_psn,
        .max_dest_rd_atomic = READS, .min_rnr_timer = 1, .ah_attr = {.dlid = lid, .port_num = 1},
    };
    OK(ibv_modify_qp(qp, &a, IBV_QP_STATE | (type == IBV_QPT_UD ? 0 :
        IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | (type == IBV_QPT_UC ? 0 :
        IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER))));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTS, .sq_psn = psn, .timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
        .max_rd_atomic = READS,
    };
    OK(ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_SQ_PSN | (type == IBV_QPT_UC || type == IBV_QPT_UD ? 0 :
        IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC)));
}

static void open_everything(void) {
    int n = 0;
    struct ibv_device **list = ibv_get_device_list(&n);
    MUST(list && n > 0, "no device");
    context = ibv_open_device(list[0]);
    MUST(context, "ibv_open_device: errno %d", errno);
    ibv_free_device_list(list);
    struct ibv_port_attr port;
    OK(ibv_query_port(context, 1, &port));
    OK(ibv_query_gid(context, 1, 0, &mine.gid));
    MUST(pd = ibv_alloc_pd(context), "ibv_alloc_pd: errno %d", errno);
    if (service == EVENTS) MUST(channel = ibv_create_comp_channel(context), "channel: errno %d", errno);
    MUST(send_cq = ibv_create_cq(context, MOST_QPS * RING, &send_cq, channel, 0), "cq: errno %d", errno);
    MUST(receive_cq = ibv_create_cq(context, RING, &receive_cq, channel, 0), "cq: errno %d", errno);
    if (service == SRQ) {
        struct ibv_srq_init_attr init = {.attr = {.max_wr = SLOTS, .max_sge = 2}};
        MUST(srq = ibv_create_srq(pd, &init), "ibv_create_srq: errno %d", errno);
    }
    if (service == XRC) open_xrc();
    int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ
        | IBV_ACCESS_REMOTE_ATOMIC;
    out = pages(SLOTS * slot_bytes); in = pages(SLOTS * slot_bytes);
    control = pages(4096); seen = pages(4096);
    MUST(out_mr = ibv_reg_mr(pd, out, SLOTS * slot_bytes, service == READ ? access : 0), "mr: errno %d", errno);
    MUST(in_mr = ibv_reg_mr(pd, in, SLOTS * slot_bytes, access), "mr: errno %d", errno);
    MUST(control_mr = ibv_reg_mr(pd, control, 4096, access), "mr: errno %d", errno);
    MUST(seen_mr = ibv_reg_mr(pd, seen, 4096, IBV_ACCESS_LOCAL_WRITE), "mr: errno %d", errno);
    qps = shared ? MOST_QPS : 1;
    for (int i = 0; i < qps; i++) {
        queues[i].qp = make_qp(service == UD ? IBV_QPT_UD : service == UC ? IBV_QPT_UC
                               : service == XRC ? IBV_QPT_XRC_SEND : IBV_QPT_RC);
        mine.numbers[i] = queues[i].qp->qp_num;
        if (service != XRC) continue;
        queues[i].target = make_target();
        mine.targets[i] = queues[i].target->qp_num;
    }
    mine.psn = mix(getpid()) & 0xffffff;
    mine.lid = port.lid;
    mine.rkey_in = in_mr->rkey; mine.rkey_out = out_mr->rkey; mine.rkey_control = control_mr->rkey;
    mine.in = (uintptr_t)in; mine.out = (uintptr_t)out; mine.control = (uintptr_t)control;
    tell(&mine, sizeof mine);
    hear(&theirs, sizeof theirs);
    for (int i = 0; i < qps; i++) {
        queues[i].remote = service == XRC ? theirs.targets[i] : theirs.numbers[i];
        modify(queues[i].qp, queues[i].remote, theirs.lid, mine.psn + i, theirs.psn + i);
        if (queues[i].target)
            modify(queues[i].target, theirs.numbers[i], theirs.lid, mine.psn + i, theirs.psn + i);
    }
    if (service == ATOMIC && rank == 0) {
        loop->qp = make_qp(IBV_QPT_RC);
        loop->remote = loop->qp->qp_num;
        modify(loop->qp, loop->remote, mine.lid, 7, 7);
    }
    if (service == UD)
        for (int i = 0; i < 2; i++) {
            struct ibv_ah_attr a = {.dlid = theirs.lid, .port_num = 1, .is_global = i};
            a.grh.dgid = theirs.gid;
            a.grh.hop_limit = 1;
            MUST(ah[i] = ibv_create_ah(pd, &a), "ibv_create_ah: errno %d", errno);
        }
    for (int i = 0; service == EVENTS && i < 2; i++)
        OK(ibv_req_notify_cq(i ? receive_cq : send_cq, 0));
}

static void close_everything(void) {
    struct ibv_wc wc;
    MUST(ibv_poll_cq(send_cq, 1, &wc) == 0, "a completion too many: wr_id %llu", (unsigned long long)wc.wr_id);
    MUST(ibv_poll_cq(receive_cq, 1, &wc) == 0, "a receive too many: wr_id %llu", (unsigned long long)wc.wr_id);
    for (int i = 0; i < 2; i++) if (ah[i]) OK(ibv_destroy_ah(ah[i]));
    if (loop->qp) OK(ibv_destroy_qp(loop->qp));
    for (int i = 0; i < qps; i++) {
        OK(ibv_destroy_qp(queues[i].qp));
        if (queues[i].target) OK(ibv_destroy_qp(queues[i].target));
    }
    if (srq) OK(ibv_destroy_srq(srq));
    if (xrcd) OK(ibv_close_xrcd(xrcd));
    if (events_got[0]) ibv_ack_cq_events(send_cq, events_got[0]);
    if (events_got[1]) ibv_ack_cq_events(receive_cq, events_got[1]);
    OK(ibv_destroy_cq(send_cq));
    OK(ibv_destroy_cq(receive_cq));
    if (channel) OK(ibv_destroy_comp_channel(channel));
    OK(ibv_dereg_mr(out_mr)); OK(ibv_dereg_mr(in_mr)); OK(ibv_dereg_mr(control_mr)); OK(ibv_dereg_mr(seen_mr));
    OK(ibv_dealloc_pd(pd));
    OK(ibv_close_device(context));
}

// MARK: send requests and their completions

// The number that the next signalled request of this queue gets.
static uint64_t expect(struct queue *q, enum ibv_wc_opcode opcode, uint64_t sequence, uint32_t length) {
    MUST(q->posted - q->completed < RING, "the test itself: too many requests");
    q->ring[q->posted % RING] = (struct expected){sequence, length, opcode};
    return q->posted++;
}
static struct queue *queue_of(uint32_t number, uint64_t id) {
    for (int i = 0; i <= MOST_QPS; i++)
        if ((queues[i].qp && queues[i].qp->qp_num == number)
            || (queues[i].target && queues[i].target->qp_num == number)) return &queues[i];
    fail("completion %llu of queue pair %u, which there is not", (unsigned long long)id, number);
}
static struct expected completed(const struct ibv_wc *wc) {
    unsigned long long id = wc->wr_id;
    struct queue *q = queue_of(wc->qp_num, id);
    struct expected e = q->ring[q->completed % RING];
    MUST(wc->status == IBV_WC_SUCCESS, "request %llu (message %llu, %u bytes): %s, vendor %u; expected next: %llu",
         id, (unsigned long long)e.sequence, e.length, ibv_wc_status_str(wc->status), wc->vendor_err,
         (unsigned long long)q->completed);
    MUST(q->completed < q->posted, "request %llu completed, but all %llu had completed", id,
         (unsigned long long)q->posted);
    MUST(id == q->completed, "request %llu completed, expected %llu (%llu posted)", id,
         (unsigned long long)q->completed, (unsigned long long)q->posted);
    MUST(wc->opcode == e.opcode, "request %llu: opcode %d, expected %d", id, wc->opcode, e.opcode);
    if (e.opcode == IBV_WC_RDMA_READ || e.opcode == IBV_WC_FETCH_ADD || e.opcode == IBV_WC_COMP_SWAP)
        MUST(wc->byte_len == e.length, "request %llu: byte_len %u, expected %u", id, wc->byte_len, e.length);
    q->completed++;
    return e;
}
static void post(struct queue *q, struct ibv_send_wr *list) {
    struct ibv_send_wr *bad = NULL;
    int r = ibv_post_send(q->qp, list, &bad);
    MUST(r == 0, "ibv_post_send: %d at request %lld", r, bad ? (long long)bad->wr_id : -1);
}
static int poll_cq(struct ibv_cq *cq, struct ibv_wc *wc, int most) {
    int n = ibv_poll_cq(cq, most, wc);
    MUST(n >= 0 && n <= most, "ibv_poll_cq: %d", n);
    return n;
}
// Nothing came: lets the other rank have the processor.
static void idle(void) { sched_yield(); }

// Up to three pieces that are together [address, address + length).
static int pieces(struct ibv_sge *sge, uint8_t *address, uint32_t length, uint32_t key, uint64_t seed) {
    int count = 1 + (seed >> 50) % 3, used = 0;
    uint32_t at = 0;
    for (int i = 0; i < count; i++) {
        uint32_t n = i == count - 1 ? length - at : (seed >> (16 + 8 * i)) % (length - at + 1);
        if (n == 0) continue;   // a piece of length 0 means 2^31 bytes to some adapters
        sge[used++] = (struct ibv_sge){(uintptr_t)address + at, n, key};
        at += n;
    }
    return used;
}

// MARK: messages: rc, uc, ud, srq, events, imm

static uint64_t sent, send_done, received, receives_posted;
static struct { bool posted; uint64_t id; } receive_slots[SLOTS];

static bool post_receives(void) {
    // Reliable queue pairs find no receive now and then; the others would lose messages.
    uint64_t room = service == UC || service == UD ? SLOTS : WINDOW - 3;
    struct ibv_recv_wr wr[BATCH], *bad;
    struct ibv_sge sge[BATCH][2];
    bool any = false;
    while (receives_posted < rounds && receives_posted < received + room) {
        int n = 0;
        for (; n < BATCH && receives_posted < rounds && receives_posted < received + room; n++) {
            uint64_t id = receives_posted++;
            int slot = -1;
            if (shared) {
                // Any slot may be free: messages of different queue pairs are done in any order.
                for (int i = 0; i < SLOTS && slot < 0; i++) if (!receive_slots[i].posted) slot = i;
            } else {
                slot = id % SLOTS;
            }
            MUST(slot >= 0 && !receive_slots[slot].posted, "the test itself: no slot");
            receive_slots[slot].posted = true;
            receive_slots[slot].id = id;
            uint8_t *base = in + (size_t)slot * slot_bytes;
            uint32_t header = service == UD ? ROUTE_HEADER : 0, first = header + seed_of(rank, id) % 3000;
            uint32_t whole = header + (service == UD ? LARGEST_DATAGRAM : largest);
            sge[n][0] = (struct ibv_sge){(uintptr_t)base, first, in_mr->lkey};
            sge[n][1] = (struct ibv_sge){(uintptr_t)base + first, whole - first, in_mr->lkey};
            if (first == 0) { sge[n][0].length = whole; }
            if (!shared) put_guard(base + header + length_of(!rank, id));
            wr[n] = (struct ibv_recv_wr){
                .wr_id = shared ? id << 8 | slot : id, .sg_list = sge[n],
                .num_sge = service == IMM ? 0 : first == 0 ? 1 : 2};
            if (n) wr[n - 1].next = &wr[n];
        }
        int r = srq ? ibv_post_srq_recv(srq, wr, &bad) : ibv_post_recv(queues[0].qp, wr, &bad);
        MUST(r == 0, "posting receives: %d", r);
        any = true;
    }
    return any;
}

static void post_message(struct queue *q, struct ibv_send_wr *wr, struct ibv_sge *sge, uint64_t s) {
    uint32_t length = length_of(rank, s);
    uint8_t *data = out + (s % WINDOW) * slot_bytes;
    fill(data, rank, s, length);
    bool immediate = has_immediate(rank, s);
    *wr = (struct ibv_send_wr){
        .sg_list = sge, .num_sge = pieces(sge, data, length, out_mr->lkey, seed_of(rank, s)),
        .send_flags = service == UC || service == IMM ? 0 : IBV_SEND_SIGNALED,
        .opcode = service == IMM ? IBV_WR_RDMA_WRITE_WITH_IMM : immediate ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND,
        .imm_data = htonl(immediate_of(rank, s)),
    };
    if (length <= INLINE && (s & 1)) wr->send_flags |= IBV_SEND_INLINE;
    if (service == XRC) wr->qp_type.xrc.remote_srqn = theirs.shared;
    if (service == UD) {
        wr->wr.ud.ah = ah[s & 1];
        wr->wr.ud.remote_qpn = q->remote;
        wr->wr.ud.remote_qkey = QKEY;
    } else if (service == IMM) {
        wr->wr.rdma.remote_addr = theirs.in + (s % SLOTS) * slot_bytes;
        wr->wr.rdma.rkey = theirs.rkey_in;
    }
    wr->wr_id = expect(q, service == IMM ? IBV_WC_RDMA_WRITE : IBV_WC_SEND, s, length);
}

// The least message whose send has not completed. Those of different queue pairs complete in any
// order, so that counting them would not tell which slots are free.
static uint64_t oldest(void) {
    uint64_t least = sent;
    for (int i = 0; i < qps; i++)
        if (queues[i].completed < queues[i].posted) {
            uint64_t s = queues[i].ring[queues[i].completed % RING].sequence;
            if (s < least) least = s;
        }
    return least;
}

static bool post_messages(void) {
    bool any = false;
    uint64_t free_until = oldest() + WINDOW;
    while (sent < rounds && sent < received + WINDOW && sent < free_until) {
        struct ibv_send_wr wr[BATCH];
        struct ibv_sge sge[BATCH][3];
        int n = 0, which = qp_of(rank, sent);
        do {
            post_message(&queues[which], &wr[n], sge[n], sent++);
            if (n) wr[n - 1].next = &wr[n];
            n++;
        } while (n < BATCH && sent < rounds && sent < received + WINDOW && sent < free_until
                 && qp_of(rank, sent) == which);
        post(&queues[which], wr);
        // Inline data was taken when the call returned.
        for (int i = 0; i < n; i++)
            if (wr[i].send_flags & IBV_SEND_INLINE)
                for (int k = 0; k < wr[i].num_sge; k++)
                    memset((void *)(uintptr_t)sge[i][k].addr, 0x5a, sge[i][k].length);
        any = true;
    }
    return any;
}

static void receive(const struct ibv_wc *wc) {
    unsigned long long id = wc->wr_id;
    MUST(wc->status == IBV_WC_SUCCESS, "receive %llu: %s, vendor %u", id, ibv_wc_status_str(wc->status),
         wc->vendor_err);
    struct queue *q = queue_of(wc->qp_num, id);
    int which = q - queues, slot = shared ? (int)(id & 255) : (int)(id % SLOTS);
    uint64_t s = received;
    if (shared) {
        id >>= 8;
        MUST(slot < SLOTS && receive_slots[slot].posted && receive_slots[slot].id == id,
             "receive %llu into slot %d completed, which is not posted", id, slot);
        for (s = q->next_in; qp_of(!rank, s) != which;) s++;
        MUST(s < rounds, "queue pair %d got a message after its last", which);
        q->next_in = s + 1;
    } else {
        MUST(id == received, "receive %llu completed, expected %llu", id, (unsigned long long)received);
        MUST(receive_slots[slot].posted, "receive %llu completed twice", id);
    }
    receive_slots[slot].posted = false;
    unsigned long long shown = s;
    uint32_t header = service == UD ? ROUTE_HEADER : 0, length = length_of(!rank, s);
    enum ibv_wc_opcode opcode = service == IMM ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV;
    MUST(wc->opcode == opcode, "message %llu: opcode %d, expected %d", shown, wc->opcode, opcode);
    MUST(wc->byte_len == length + header, "message %llu: byte_len %u, expected %u", shown, wc->byte_len,
         length + header);
    bool immediate = has_immediate(!rank, s);
    MUST(!(wc->wc_flags & IBV_WC_WITH_IMM) == !immediate, "message %llu: wc_flags %x, immediate expected: %d",
         shown, wc->wc_flags, immediate);
    if (immediate)
        MUST(ntohl(wc->imm_data) == immediate_of(!rank, s), "message %llu: immediate %08x, expected %08x", shown,
             ntohl(wc->imm_data), immediate_of(!rank, s));
    if (service == UD) {
        MUST(wc->src_qp == q->remote, "message %llu: src_qp %u, expected %u", shown, wc->src_qp, q->remote);
        MUST(!(wc->wc_flags & IBV_WC_GRH) == !(s & 1), "message %llu: wc_flags %x, routed: %d", shown,
             wc->wc_flags, (int)(s & 1));
    }
    uint8_t *data = in + (size_t)slot * slot_bytes + header;
    check(data, !rank, s, length);
    if (!shared) check_guard(data + length, s);
    progress(++received);
}

// What came since the queues were armed may have come before it: so look again before sleeping.
static void wait_for_event(void) {
    static bool armed[2] = {true, true};
    struct ibv_cq *cq[2] = {send_cq, receive_cq};
    bool both = armed[0] && armed[1];
    for (int i = 0; i < 2; i++)
        if (!armed[i]) {
            OK(ibv_req_notify_cq(cq[i], 0));
            armed[i] = true;
        }
    if (!both) return;
    struct ibv_cq *got = NULL;
    void *user = NULL;
    OK(ibv_get_cq_event(channel, &got, &user));
    MUST((got == send_cq && user == &send_cq) || (got == receive_cq && user == &receive_cq),
         "an event of a completion queue that there is not");
    int which = got == receive_cq;
    armed[which] = false;
    // Acknowledged in groups, as programs do; the rest before the queue is destroyed.
    if (++events_got[which] == 100) {
        ibv_ack_cq_events(got, 100);
        events_got[which] = 0;
    }
}

static void messages(void) {
    struct ibv_wc wc[8];
    post_receives();
    barrier(1);
    while (sent < rounds || send_done < rounds || received < rounds) {
        bool any = post_messages();
        int n = poll_cq(send_cq, wc, 8);
        for (int i = 0; i < n; i++) {
            completed(&wc[i]);
            send_done++;
        }
        any |= n > 0;
        n = poll_cq(receive_cq, wc, 1 + received % 8);
        for (int i = 0; i < n; i++) receive(&wc[i]);
        any |= n > 0;
        any |= post_receives();
        if (any) continue;
        if (service == EVENTS) wait_for_event();
        else idle();
    }
}

// MARK: write: the receiver looks at its memory only

static void writes(void) {
    uint64_t *flags_in = (void *)(in + largest + 64);       // of slot 0; the others slot_bytes bytes on
    for (int i = 0; i < SLOTS; i++)
        put_guard(in + (size_t)i * slot_bytes + length_of(!rank, i));
    barrier(1);
    while (sent < rounds || send_done < rounds || received < rounds) {
        bool any = false;
        while (sent < rounds && sent < received + WINDOW && sent < send_done + WINDOW) {
            uint64_t s = sent++;
            uint32_t length = length_of(rank, s);
            uint8_t *data = out + (s % WINDOW) * slot_bytes, *flag = data + largest + 64;
            fill(data, rank, s, length);
            uint64_t number = s + 1;
            memcpy(flag, &number, 8);
            uint64_t to = theirs.in + (s % SLOTS) * slot_bytes;
            struct ibv_sge sge[3], last = {(uintptr_t)flag, 8, out_mr->lkey};
            struct ibv_send_wr wr[2] = {{
                .sg_list = sge, .num_sge = pieces(sge, data, length, out_mr->lkey, seed_of(rank, s)),
                .opcode = IBV_WR_RDMA_WRITE, .next = &wr[1], .wr_id = UINT64_MAX,
                .wr.rdma = {to, theirs.rkey_in},
            }, {
                .sg_list = &last, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE,
                .send_flags = IBV_SEND_SIGNALED | (s & 1 ? IBV_SEND_INLINE : 0),
                .wr.rdma = {to + largest + 64, theirs.rkey_in},
            }};
            // Half of the data writes are silent: they must never complete.
            if (s & 2) {
                wr[0].send_flags = IBV_SEND_SIGNALED;
                wr[0].wr_id = expect(&queues[0], IBV_WC_RDMA_WRITE, UINT64_MAX, length);
            }
            wr[1].wr_id = expect(&queues[0], IBV_WC_RDMA_WRITE, s, 8);
            post(&queues[0], wr);
            any = true;
        }
        struct ibv_wc wc[8];
        int n = poll_cq(send_cq, wc, 8);
        for (int i = 0; i < n; i++) {
            struct expected e = completed(&wc[i]);
            if (e.sequence == UINT64_MAX) continue;
            MUST(e.sequence == send_done, "flag %llu completed, expected %llu",
                 (unsigned long long)e.sequence, (unsigned long long)send_done);
            send_done++;
        }
        any |= n > 0;
        while (received < rounds) {
            size_t at = received % SLOTS * slot_bytes;
            uint64_t number = __atomic_load_n(flags_in + at / 8, __ATOMIC_ACQUIRE);
            uint64_t before = received < SLOTS ? 0 : received + 1 - SLOTS;
            if (number == before) break;
            MUST(number == received + 1, "slot of message %llu has number %lld, expected %lld or %lld",
                 (unsigned long long)received, (long long)number - 1, (long long)received, (long long)before - 1);
            uint32_t length = length_of(!rank, received);
            check(in + at, !rank, received, length);
            check_guard(in + at + length, received);
            put_guard(in + at + length_of(!rank, received + SLOTS));
            progress(++received);
            any = true;
        }
        if (!any) idle();
    }
}

// MARK: read: each fetches from the other, which learns of it by reading too

static void reads(void) {
    enum { AHEAD = 12 };
    uint64_t asked = 0, peer_produced = 0, peer_consumed = 0;
    bool looking = false;
    barrier(1);
    while (received < rounds || peer_consumed < rounds || looking) {
        bool any = false;
        while (control->produced < rounds && control->produced < peer_consumed + SLOTS) {
            uint64_t s = control->produced;
            fill(out + s % SLOTS * slot_bytes, rank, s, length_of(rank, s));
            __atomic_store_n(&control->produced, s + 1, __ATOMIC_RELEASE);
            any = true;
        }
        if (!looking && (received < rounds || peer_consumed < rounds)) {
            struct ibv_sge sge = {(uintptr_t)seen, 16, seen_mr->lkey};
            struct ibv_send_wr wr = {
                .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_READ, .send_flags = IBV_SEND_SIGNALED,
                .wr.rdma = {theirs.control, theirs.rkey_control},
            };
            wr.wr_id = expect(&queues[0], IBV_WC_RDMA_READ, UINT64_MAX, 16);
            post(&queues[0], &wr);
            looking = true;
        }
        while (asked < peer_produced && asked < received + AHEAD) {
            uint64_t s = asked++;
            uint32_t length = length_of(!rank, s);
            uint8_t *data = in + s % SLOTS * slot_bytes;
            put_guard(data + length);
            struct ibv_sge sge[3];
            struct ibv_send_wr wr = {
                .sg_list = sge, .num_sge = pieces(sge, data, length, in_mr->lkey, seed_of(!rank, s)),
                .opcode = IBV_WR_RDMA_READ, .send_flags = IBV_SEND_SIGNALED,
                .wr.rdma = {theirs.out + s % SLOTS * slot_bytes, theirs.rkey_out},
            };
            wr.wr_id = expect(&queues[0], IBV_WC_RDMA_READ, s, length);
            post(&queues[0], &wr);
            any = true;
        }
        struct ibv_wc wc[8];
        int n = poll_cq(send_cq, wc, 8);
        for (int i = 0; i < n; i++) {
            struct expected e = completed(&wc[i]);
            if (e.sequence == UINT64_MAX) {
                looking = false;
                uint64_t produced = seen->produced, consumed = seen->consumed;
                MUST(produced >= peer_produced && produced <= rounds && consumed >= peer_consumed
                     && consumed <= control->produced,
                     "the other's counters went from %llu, %llu to %llu, %llu",
                     (unsigned long long)peer_produced, (unsigned long long)peer_consumed,
                     (unsigned long long)produced, (unsigned long long)consumed);
                any |= produced != peer_produced || consumed != peer_consumed;
                peer_produced = produced;
                peer_consumed = consumed;
                continue;
            }
            MUST(e.sequence == received, "read %llu completed, expected %llu",
                 (unsigned long long)e.sequence, (unsigned long long)received);
            uint8_t *data = in + received % SLOTS * slot_bytes;
            check(data, !rank, received, e.length);
            check_guard(data + e.length, received);
            __atomic_store_n(&control->consumed, received + 1, __ATOMIC_RELEASE);
            progress(++received);
            any = true;
        }
        if (!any) idle();
    }
}

// MARK: atomic: both count in rank 0's memory, rank 0 by a connection with itself

static void atomics(void) {
    enum { AHEAD = 8 };
    uint64_t swaps = rounds / 4, swapped = 0, asked = 0, guess = 0;
    uint64_t *added_olds = pages((rounds + 1) * 8), *swapped_olds = pages((swaps + 1) * 8);
    struct queue *q = rank == 0 ? loop : &queues[0];
    uint64_t base = rank == 0 ? (uintptr_t)control : theirs.control;
    uint32_t key = rank == 0 ? control_mr->rkey : theirs.rkey_control;
    uint64_t *results = (uint64_t *)in;     // AHEAD of sums, then one of a swap
    bool swapping = false;
    barrier(1);
    while (received < rounds || swapped < swaps || swapping) {
        bool any = false;
        while (asked < rounds && asked < received + AHEAD) {
            uint64_t s = asked++;
            results[s % AHEAD] = UINT64_MAX;
            struct ibv_sge sge = {(uintptr_t)&results[s % AHEAD], 8, in_mr->lkey};
            struct ibv_send_wr wr = {
                .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
                .send_flags = IBV_SEND_SIGNALED,
                .wr.atomic = {base + offsetof(struct control, sum), 1, 0, key},
            };
            wr.wr_id = expect(q, IBV_WC_FETCH_ADD, s, 8);
            post(q, &wr);
            any = true;
        }
        // Not all at the end: as many as of the sums.
        if (!swapping && swapped < swaps && (swapped <= received / 4)) {
            results[AHEAD] = UINT64_MAX;
            struct ibv_sge sge = {(uintptr_t)&results[AHEAD], 8, in_mr->lkey};
            struct ibv_send_wr wr = {
                .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_ATOMIC_CMP_AND_SWP,
                .send_flags = IBV_SEND_SIGNALED,
                .wr.atomic = {base + offsetof(struct control, swapped), guess, guess + 1, key},
            };
            wr.wr_id = expect(q, IBV_WC_COMP_SWAP, 0, 8);
            post(q, &wr);
            swapping = any = true;
        }
        struct ibv_wc wc[8];
        int n = poll_cq(send_cq, wc, 8);
        any |= n > 0;
        for (int i = 0; i < n; i++) {
            struct expected e = completed(&wc[i]);
            if (e.opcode == IBV_WC_COMP_SWAP) {
                swapping = false;
                uint64_t old = results[AHEAD];
                MUST(old >= guess && old < 2 * swaps + 1, "compare-swap at %llu found %llu",
                     (unsigned long long)guess, (unsigned long long)old);
                if (old == guess) swapped_olds[swapped++] = old, guess++;
                else guess = old;
                continue;
            }
            MUST(e.sequence == received, "fetch-add %llu completed, expected %llu",
                 (unsigned long long)e.sequence, (unsigned long long)received);
            uint64_t old = results[received % AHEAD];
            MUST(old < 2 * rounds && (received == 0 || old > added_olds[received - 1]),
                 "fetch-add %llu found %llu, the one before %lld", (unsigned long long)received,
                 (unsigned long long)old, received ? (long long)added_olds[received - 1] : -1);
            added_olds[received] = old;
            progress(++received);
        }
        if (!any) idle();
    }
    if (rank == 1) {
        tell(added_olds, rounds * 8);
        tell(swapped_olds, swaps * 8);
        return;
    }
    struct { const char *what; uint64_t *olds, count, value; } kinds[2] = {
        {"fetch-add", added_olds, rounds, 0}, {"compare-swap", swapped_olds, swaps, 0}};
    for (int k = 0; k < 2; k++) {
        uint64_t n = kinds[k].count, *other = pages((n + 1) * 8);
        uint8_t *seen_before = pages(2 * n + 1);
        hear(other, n * 8);
        for (uint64_t i = 0; i < 2 * n; i++) {
            uint64_t old = i < n ? kinds[k].olds[i] : other[i - n];
            MUST(old < 2 * n, "%s: old value %llu of %llu", kinds[k].what, (unsigned long long)old,
                 (unsigned long long)(2 * n));
            MUST(!seen_before[old]++, "%s: old value %llu occurs twice", kinds[k].what, (unsigned long long)old);
        }
    }
    // The other is through: nobody counts any more.
    MUST(control->sum == 2 * rounds, "the sum is %llu, expected %llu", (unsigned long long)control->sum,
         (unsigned long long)(2 * rounds));
    MUST(control->swapped == 2 * swaps, "swapped to %llu, expected %llu", (unsigned long long)control->swapped,
         (unsigned long long)(2 * swaps));
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    service = SERVICES;
    for (int i = 0; count > 1 && i < SERVICES; i++)
        if (strcmp(arguments[1], services[i].name) == 0) service = i;
    if (service == SERVICES) {
        fputs("usage: fire rc|uc|ud|srq|xrc|events|read|write|atomic|imm [ROUNDS [apart]]\n", stderr);
        return 64;
    }
    shared = service == SRQ || service == XRC;
    rounds = count > 2 ? strtoull(arguments[2], NULL, 10) : services[service].rounds;
    apart = count > 3 && strcmp(arguments[3], "apart") == 0;
    largest = (apart ? 576 : 64) << 10;
    slot_bytes = largest + 4096;
    int wires[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, wires) == 0, "socketpair");
    struct sigaction action = {.sa_handler = child_ended, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &before);
    MUST((child = fork()) >= 0, "fork");
    rank = child == 0;
    wire = wires[rank];
    close(wires[!rank]);
    if (rank == 0) sigaction(SIGCHLD, &action, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (apart) setenv("FERMATA_NODE", rank ? "2" : "1", 1);
    open_everything();
    if (service == WRITE) writes();
    else if (service == READ) reads();
    else if (service == ATOMIC) atomics();
    else messages();
    // The other may still need answers: it gets them while this one waits here.
    barrier(2);
    close_everything();
    barrier(3);
    if (rank == 1) return 0;
    sigprocmask(SIG_BLOCK, &set, NULL);
    int status = 0;
    pid_t gone = waitpid(child, &status, 0);
    MUST(gone == child ? status == 0 : gone < 0 && errno == ECHILD, "rank 1 ended with %x", status);
    printf("%s: %llu rounds, all right\n", services[service].name, (unsigned long long)rounds);
    return 0;
}
