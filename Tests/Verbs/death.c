// What a process is told when the one at the other end is killed in the middle of traffic.
//
//   death SERVICE [ROUNDS [apart]]
//
// SERVICE: send large write read atomic events uc ud. In every round two processes send to each other
// until one of them gets SIGKILL at a random moment, as a zombie for a while or reaped at once. The other
// must see what an adapter would show it (IBTA 9.9.2, 10.7.3): RC ends with IBV_WC_RETRY_EXC_ERR on one
// request, flushes the others in order, and nothing succeeds after; UC and UD go on into the void. What it
// had received is whole. "apart": on two nodes, with nothing but TCP between them. What is wrong is said on
// stdout, exit status 1.
#include <errno.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 32, SMALL = 256, LARGE = 100000, QKEY = 0x1234, ROUTE_HEADER = 40 };
enum service { SEND, LARGE_SEND, WRITE, READ, ATOMIC, EVENTS, UC, UD, SERVICES };
static const char *const names[SERVICES] = {"send", "large", "write", "read", "atomic", "events", "uc", "ud"};

static enum service service;
static int rank, wire, report;
static bool apart;
static struct ibv_pd *pd;
static struct ibv_comp_channel *channel;
static struct ibv_cq *cq;
static struct ibv_qp *qp;
static struct ibv_ah *ah;
static uint8_t *out, *in;
static struct ibv_mr *out_mr, *in_mr;
static struct hello { uint32_t number, key; uint64_t in; uint16_t lid; } theirs;
static uint64_t sends_posted, sends_done, receives_posted, receives_done;
static bool failed, broken;

#define MUST(condition, ...) do { if (!(condition)) { \
    printf("FAILED %s, rank %d: ", names[service], rank); printf(__VA_ARGS__); \
    printf(" (errno %d)\n", errno); fflush(stdout); _exit(1); } } while (0)

static bool is_reliable(void) { return service != UC && service != UD; }
static size_t length(void) { return service == LARGE_SEND ? LARGE : service == ATOMIC ? 8 : SMALL; }

static void modify(struct ibv_qp_attr attributes, int mask) {
    MUST(ibv_modify_qp(qp, &attributes, mask | IBV_QP_STATE) == 0, "ibv_modify_qp to %d", attributes.qp_state);
}

static void open_everything(void) {
    struct ibv_device **devices = ibv_get_device_list(NULL);
    MUST(devices && devices[0], "no device");
    struct ibv_context *context = ibv_open_device(devices[0]);
    MUST(context, "ibv_open_device");
    struct ibv_port_attr port;
    MUST(ibv_query_port(context, 1, &port) == 0, "ibv_query_port");
    pd = ibv_alloc_pd(context);
    if (service == EVENTS) channel = ibv_create_comp_channel(context);
    cq = ibv_create_cq(context, 4 * DEPTH, NULL, channel, 0);
    MUST(pd && cq, "ibv_alloc_pd, ibv_create_cq");
    out = calloc(1, LARGE), in = calloc(DEPTH, LARGE);
    int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;
    out_mr = ibv_reg_mr(pd, out, LARGE, access), in_mr = ibv_reg_mr(pd, in, (size_t)DEPTH * LARGE, access);
    MUST(out_mr && in_mr, "ibv_reg_mr");
    memset(out, rank + 1, LARGE);
    struct ibv_qp_init_attr init = {
        .send_cq = cq, .recv_cq = cq, .qp_type = service == UC ? IBV_QPT_UC : service == UD ? IBV_QPT_UD : IBV_QPT_RC,
        .sq_sig_all = 1, .cap = {.max_send_wr = DEPTH, .max_recv_wr = DEPTH, .max_send_sge = 1, .max_recv_sge = 1},
    };
    MUST(qp = ibv_create_qp(pd, &init), "ibv_create_qp");
    struct hello mine = {qp->qp_num, in_mr->rkey, (uintptr_t)in, port.lid};
    MUST(write(wire, &mine, sizeof mine) == sizeof mine && read(wire, &theirs, sizeof theirs) == sizeof theirs, "hello");
    struct ibv_ah_attr path = {.dlid = theirs.lid, .port_num = 1};
    struct ibv_qp_attr a = {
        .qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = QKEY, .qp_access_flags = is_reliable() ? access : 0,
    };
    modify(a, IBV_QP_PKEY_INDEX | IBV_QP_PORT | (service == UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = theirs.number, .ah_attr = path,
        .max_dest_rd_atomic = 4, .min_rnr_timer = 1,
    };
    modify(a, service == UD ? 0 : IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN
        | (service == UC ? 0 : IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER));
    a = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS, .timeout = 8, .retry_cnt = 3, .rnr_retry = 7, .max_rd_atomic = 4};
    modify(a, IBV_QP_SQ_PSN | (is_reliable() ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY
        | IBV_QP_MAX_QP_RD_ATOMIC : 0));
    if (service == UD) MUST(ah = ibv_create_ah(pd, &path), "ibv_create_ah");
    if (channel) MUST(ibv_req_notify_cq(cq, 0) == 0, "ibv_req_notify_cq");
    char byte = 0;
    MUST(write(wire, &byte, 1) == 1 && read(wire, &byte, 1) == 1, "both are ready");
}

static void post_receive(void) {
    uint8_t *place = in + receives_posted % DEPTH * LARGE;
    struct ibv_sge sge = {(uintptr_t)place, LARGE, in_mr->lkey};
    struct ibv_recv_wr wr = {.wr_id = receives_posted++ << 1, .sg_list = &sge, .num_sge = 1}, *bad;
    MUST(ibv_post_recv(qp, &wr, &bad) == 0, "ibv_post_recv");
}

static void post_send(void) {
    static const enum ibv_wr_opcode opcodes[SERVICES] = {
        [SEND] = IBV_WR_SEND, [LARGE_SEND] = IBV_WR_SEND, [EVENTS] = IBV_WR_SEND, [UC] = IBV_WR_SEND,
        [UD] = IBV_WR_SEND, [WRITE] = IBV_WR_RDMA_WRITE, [READ] = IBV_WR_RDMA_READ,
        [ATOMIC] = IBV_WR_ATOMIC_FETCH_AND_ADD,
    };
    struct ibv_sge sge = {(uintptr_t)out, length(), out_mr->lkey};
    struct ibv_send_wr wr = {
        .wr_id = sends_posted++ << 1 | 1, .sg_list = &sge, .num_sge = 1, .opcode = opcodes[service],
    }, *bad;
    if (service == UD) {
        wr.wr.ud.ah = ah, wr.wr.ud.remote_qpn = theirs.number, wr.wr.ud.remote_qkey = QKEY;
    } else if (service == ATOMIC) {
        wr.wr.atomic.remote_addr = theirs.in, wr.wr.atomic.rkey = theirs.key, wr.wr.atomic.compare_add = 1;
    } else {
        wr.wr.rdma.remote_addr = theirs.in, wr.wr.rdma.rkey = theirs.key;
    }
    MUST(ibv_post_send(qp, &wr, &bad) == 0, "ibv_post_send");
}

static void take(const struct ibv_wc *wc) {
    unsigned long long number = wc->wr_id >> 1;
    if (wc->wr_id & 1) {
        MUST(number == sends_done, "request %llu completed, expected %llu", number, (unsigned long long)sends_done);
        sends_done++;
        if (wc->status == IBV_WC_SUCCESS) {
            MUST(!failed, "request %llu succeeded after one had failed", number);
            return;
        }
        MUST(is_reliable(), "request %llu: %s, unreliable", number, ibv_wc_status_str(wc->status));
        enum ibv_wc_status expected = failed ? IBV_WC_WR_FLUSH_ERR : IBV_WC_RETRY_EXC_ERR;
        MUST(wc->status == expected, "request %llu: %s, expected %s", number, ibv_wc_status_str(wc->status),
             ibv_wc_status_str(expected));
        failed = true;
        return;
    }
    MUST(number == receives_done, "receive %llu completed, expected %llu", number, (unsigned long long)receives_done);
    receives_done++;
    if (wc->status == IBV_WC_WR_FLUSH_ERR) { broken = true; return; }
    MUST(wc->status == IBV_WC_SUCCESS && !broken, "receive %llu: %s", number, ibv_wc_status_str(wc->status));
    size_t header = service == UD ? ROUTE_HEADER : 0;
    MUST(wc->byte_len == length() + header, "receive %llu has %u bytes", number, wc->byte_len);
    const uint8_t *data = in + number % DEPTH * LARGE + header;
    for (size_t i = 0; i < length(); i++)
        MUST(data[i] == 2 - rank, "receive %llu, byte %zu: %02x", number, i, data[i]);
}

static void wait_for_event(void) {
    struct ibv_cq *which;
    void *context;
    MUST(ibv_get_cq_event(channel, &which, &context) == 0, "ibv_get_cq_event");
    ibv_ack_cq_events(which, 1);
    MUST(ibv_req_notify_cq(cq, 0) == 0, "ibv_req_notify_cq");
}

static void poll_all(bool waits) {
    struct ibv_wc wc[16];
    int n = ibv_poll_cq(cq, 16, wc);
    if (n == 0 && waits && channel) {
        wait_for_event();
        n = ibv_poll_cq(cq, 16, wc);
    }
    MUST(n >= 0, "ibv_poll_cq");
    for (int i = 0; i < n; i++) take(&wc[i]);
}

// Until the queue pair has failed, or, where it does not, until the other has ended and 1000 more requests
// have gone nowhere.
static void traffic(void) {
    uint64_t enough = UINT64_MAX;
    char byte = 0;
    while (!failed && sends_done < enough) {
        while (receives_posted < receives_done + DEPTH) post_receive();
        while (sends_posted < sends_done + DEPTH) post_send();
        poll_all(true);
        if (enough == UINT64_MAX && sends_done > 2 * DEPTH && byte == 0) {
            byte = 1;
            MUST(write(report, &byte, 1) == 1, "report");
        }
        if (!is_reliable() && enough == UINT64_MAX && recv(wire, &byte, 1, MSG_DONTWAIT) == 0) enough = sends_done + 1000;
    }
}

static int survive(void) {
    traffic();
    while (sends_done < sends_posted || (is_reliable() && receives_done < receives_posted)) poll_all(false);
    if (is_reliable()) {
        post_send();
        while (sends_done < sends_posted) poll_all(false);
    }
    struct ibv_qp_attr a;
    struct ibv_qp_init_attr init;
    MUST(ibv_query_qp(qp, &a, IBV_QP_STATE, &init) == 0, "ibv_query_qp");
    MUST(a.qp_state == (is_reliable() ? IBV_QPS_ERR : IBV_QPS_RTS), "the queue pair is in state %d", a.qp_state);
    MUST(ibv_destroy_qp(qp) == 0 && ibv_destroy_cq(cq) == 0, "ibv_destroy_qp, ibv_destroy_cq");
    MUST(ibv_dereg_mr(out_mr) == 0 && ibv_dereg_mr(in_mr) == 0, "ibv_dereg_mr");
    return 0;
}

static pid_t start(int which, int ends[2], int reports[2]) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    rank = which, wire = ends[which], report = reports[1];
    close(ends[!which]), close(reports[0]);
    alarm(60);
    if (apart) setenv("FERMATA_NODE", which ? "2" : "1", 1);
    open_everything();
    if (which == 1) _exit(survive());
    traffic();
    for (;;) poll_all(false);
}

static void play(int round) {
    int ends[2], reports[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && pipe(reports) == 0, "socketpair, pipe");
    pid_t pids[2] = {start(0, ends, reports), start(1, ends, reports)};
    close(ends[0]), close(ends[1]), close(reports[1]);
    char byte;
    for (int i = 0; i < 2; i++) MUST(read(reports[0], &byte, 1) == 1, "a process ended early");
    struct timespec moment = {0, rand() % 10000000};
    nanosleep(&moment, NULL);
    kill(pids[0], SIGKILL);
    int status;
    if (round & 1) waitpid(pids[0], &status, 0);
    MUST(waitpid(pids[1], &status, 0) == pids[1], "waitpid");
    MUST(status == 0, "round %d: the survivor ended with status 0x%x%s", round, status,
         status == SIGALRM ? ", having waited for a minute" : "");
    if (!(round & 1)) waitpid(pids[0], &status, 0);
    close(reports[0]);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    while (argc > 1 && service < SERVICES && strcmp(argv[1], names[service])) service++;
    if (argc < 2 || service == SERVICES) return fprintf(stderr, "usage: death SERVICE [ROUNDS [apart]]\n"), 64;
    int rounds = argc > 2 ? atoi(argv[2]) : 20;
    apart = argc > 3 && !strcmp(argv[3], "apart");
    srand(time(NULL));
    for (int round = 0; round < rounds; round++) play(round);
    printf("%d rounds\n", rounds);
    return 0;
}
