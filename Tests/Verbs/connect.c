// Two processes make connection after connection by rdma_cm, use each, and take it down again; every event,
// request and byte is numbered and checked.
//
//   connect [ROUNDS [apart]]
//
// Rank 1 asks, rank 0 listens. In turn: a connection (RDMA_PS_TCP) with messages in both directions, one that is
// rejected, a datagram (RDMA_PS_UDP, SIDR), and again connections. Private data carries the round's number there
// and another back. "apart": on two nodes, with nothing but TCP between them. What is wrong is said on stdout, exit
// status 1. What is printed otherwise is the same in every run.
#include <arpa/inet.h>
#include <errno.h>
#include <rdma/rdma_cma.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 24, LARGEST = 20000, ROOM = 20480, HEADER = 40, PORT = 7471 };

static int rank;
static uint64_t number;                     // of the round
static struct rdma_event_channel *channel;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static uint8_t *out, *in;
static struct ibv_mr *out_mr, *in_mr;

#define MUST(condition, ...) do { if (!(condition)) { \
    printf("FAILED connect, rank %d, round %llu: ", rank, (unsigned long long)number); printf(__VA_ARGS__); \
    printf(" (errno %d)\n", errno); fflush(stdout); _exit(1); } } while (0)
#define OK(call) MUST((call) == 0, "%s", #call)

enum kind { CONNECTED, REJECTED, DATAGRAM };
static enum kind kind_of(uint64_t round) {
    return round % 8 == 3 ? REJECTED : round % 8 == 6 ? DATAGRAM : CONNECTED;
}

// MARK: what everything is

static uint64_t mix(uint64_t x) {
    x ^= x >> 30; x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27; x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}
static uint64_t seed_of(int from, int message) {
    return mix(number * 64 + (uint64_t)message * 2 + (uint64_t)from + 1);
}
static uint32_t length_of(int from, int message) {
    if (kind_of(number) == DATAGRAM) return 1000;
    uint64_t seed = seed_of(from, message);
    return 8 + (seed & 3 ? seed >> 8 & 511 : (seed >> 8) % (LARGEST - 8));
}
static void fill(uint8_t *to, int from, int message) {
    uint64_t word = seed_of(from, message);
    for (uint32_t at = 0, n = length_of(from, message); at < n; at += 8, word = mix(word))
        memcpy(to + at, &word, n - at < 8 ? n - at : 8);
}
static void check(const uint8_t *data, int from, int message) {
    uint8_t expected[ROOM];
    fill(expected, from, message);
    MUST(memcmp(data, expected, length_of(from, message)) == 0, "message %d is damaged", message);
}

// MARK: events

// The next event, which must be `wanted`, with that private data if `said` is given.
static struct rdma_cm_event *event(enum rdma_cm_event_type wanted, int status, const uint64_t *said) {
    struct rdma_cm_event *e = NULL;
    int r;
    do r = rdma_get_cm_event(channel, &e); while (r && errno == EINTR);
    MUST(r == 0, "rdma_get_cm_event");
    MUST(e->event == wanted && e->status == status, "%s, status %d; expected %s, status %d",
         rdma_event_str(e->event), e->status, rdma_event_str(wanted), status);
    if (said) {
        bool datagram = kind_of(number) == DATAGRAM;
        const void *data = datagram ? e->param.ud.private_data : e->param.conn.private_data;
        unsigned length = datagram ? e->param.ud.private_data_len : e->param.conn.private_data_len;
        uint64_t heard = 0;
        MUST(length >= sizeof heard, "%s brought %u bytes", rdma_event_str(wanted), length);
        memcpy(&heard, data, sizeof heard);
        MUST(heard == *said, "%s said %llx, expected %llx", rdma_event_str(wanted), (unsigned long long)heard,
             (unsigned long long)*said);
    }
    return e;
}
static void happens(enum rdma_cm_event_type wanted, int status, const uint64_t *said) {
    OK(rdma_ack_cm_event(event(wanted, status, said)));
}

// MARK: queue pairs

static void open_device(struct ibv_context *context) {
    if (pd) return;
    MUST(pd = ibv_alloc_pd(context), "ibv_alloc_pd");
    MUST(cq = ibv_create_cq(context, 4 * MESSAGES, NULL, NULL, 0), "ibv_create_cq");
    out = malloc(MESSAGES * ROOM);
    in = malloc(MESSAGES * ROOM);
    MUST(out_mr = ibv_reg_mr(pd, out, MESSAGES * ROOM, 0), "ibv_reg_mr");
    MUST(in_mr = ibv_reg_mr(pd, in, MESSAGES * ROOM, IBV_ACCESS_LOCAL_WRITE), "ibv_reg_mr");
}
static void make_queue_pair(struct rdma_cm_id *id) {
    open_device(id->verbs);
    struct ibv_qp_init_attr init = {
        .qp_type = kind_of(number) == DATAGRAM ? IBV_QPT_UD : IBV_QPT_RC, .send_cq = cq, .recv_cq = cq,
        .sq_sig_all = 1, .cap = {.max_send_wr = MESSAGES, .max_recv_wr = MESSAGES, .max_send_sge = 1, .max_recv_sge = 1},
    };
    OK(rdma_create_qp(id, pd, &init));
    int messages = kind_of(number) == DATAGRAM ? 1 : MESSAGES;
    for (int i = 0; i < messages; i++) {
        struct ibv_sge sge = {(uintptr_t)(in + i * ROOM), ROOM, in_mr->lkey};
        struct ibv_recv_wr wr = {.wr_id = i, .sg_list = &sge, .num_sge = 1}, *bad;
        OK(ibv_post_recv(id->qp, &wr, &bad));
    }
}
static void send_message(struct rdma_cm_id *id, int message, struct ibv_ah *ah, const struct rdma_ud_param *to) {
    uint8_t *data = out + message * ROOM;
    fill(data, rank, message);
    struct ibv_sge sge = {(uintptr_t)data, length_of(rank, message), out_mr->lkey};
    struct ibv_send_wr wr = {.wr_id = message, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND}, *bad;
    if (to) wr.wr.ud.ah = ah, wr.wr.ud.remote_qpn = to->qp_num, wr.wr.ud.remote_qkey = to->qkey;
    OK(ibv_post_send(id->qp, &wr, &bad));
}

// Completions until there were so many of both kinds, each in order.
static void complete(int *sent, int sends, int *received, int receives) {
    while (*sent < sends || *received < receives) {
        struct ibv_wc wc;
        int n = ibv_poll_cq(cq, 1, &wc);
        MUST(n >= 0, "ibv_poll_cq");
        if (n == 0) continue;
        // Rank 1 takes the connection down when it has the last message: whether rank 0 is told before that it
        // has arrived is open.
        bool last = rank == 0 && wc.wr_id == MESSAGES - 1 && *sent == MESSAGES - 1 && *received == MESSAGES;
        MUST(wc.status == IBV_WC_SUCCESS || (last && wc.status == IBV_WC_WR_FLUSH_ERR), "request %d: %s",
             (int)wc.wr_id, ibv_wc_status_str(wc.status));
        if (wc.status != IBV_WC_SUCCESS || wc.opcode == IBV_WC_SEND) {
            MUST((int)wc.wr_id == *sent, "send %d completed, expected %d", (int)wc.wr_id, *sent);
            ++*sent;
            continue;
        }
        uint32_t header = kind_of(number) == DATAGRAM ? HEADER : 0;
        MUST((int)wc.wr_id == *received && wc.opcode == IBV_WC_RECV, "receive %d completed (opcode %d), expected %d",
             (int)wc.wr_id, wc.opcode, *received);
        MUST(wc.byte_len == length_of(!rank, *received) + header, "message %d has %u bytes", *received, wc.byte_len);
        check(in + *received * ROOM + header, !rank, *received);
        ++*received;
    }
}

static void use(struct rdma_cm_id *id) {
    int sent = 0, received = 0, now = rank == 0 ? MESSAGES - 1 : MESSAGES;
    for (int i = 0; i < now; i++) send_message(id, i, NULL, NULL);
    complete(&sent, now, &received, MESSAGES);
    if (rank == 1) return;
    send_message(id, now, NULL, NULL);
    complete(&sent, MESSAGES, &received, MESSAGES);
}

static void close_id(struct rdma_cm_id *id) {
    struct ibv_wc wc;
    if (id->qp) rdma_destroy_qp(id);
    MUST(!cq || ibv_poll_cq(cq, 1, &wc) == 0, "a completion too many: %d", (int)wc.wr_id);
    OK(rdma_destroy_id(id));
}

// MARK: the two sides

static struct sockaddr_in address = {.sin_family = AF_INET};

static struct rdma_cm_id *listening(enum rdma_port_space space) {
    struct rdma_cm_id *id;
    OK(rdma_create_id(channel, &id, NULL, space));
    OK(rdma_bind_addr(id, (struct sockaddr *)&address));
    OK(rdma_listen(id, 8));
    return id;
}

static void answer(void) {
    enum kind kind = kind_of(number);
    uint64_t said = mix(number), reply = ~said;
    struct rdma_cm_event *request = event(RDMA_CM_EVENT_CONNECT_REQUEST, 0, &said);
    struct rdma_cm_id *id = request->id;
    OK(rdma_ack_cm_event(request));
    if (kind == REJECTED) {
        OK(rdma_reject(id, &reply, sizeof reply));
        return close_id(id);
    }
    make_queue_pair(id);
    struct rdma_conn_param parameters = {
        .private_data = &reply, .private_data_len = sizeof reply, .responder_resources = 1, .initiator_depth = 1,
        .rnr_retry_count = 7, .qp_num = id->qp->qp_num,
    };
    OK(rdma_accept(id, &parameters));
    if (kind == DATAGRAM) {
        int sent = 0, received = 0;
        complete(&sent, 0, &received, 1);
    } else {
        happens(RDMA_CM_EVENT_ESTABLISHED, 0, NULL);
        use(id);
        happens(RDMA_CM_EVENT_DISCONNECTED, 0, NULL);
        OK(rdma_disconnect(id));
    }
    close_id(id);
}

static void send_datagram(struct rdma_cm_id *id, struct rdma_cm_event *established) {
    struct rdma_ud_param to = established->param.ud;
    struct ibv_ah *ah = ibv_create_ah(pd, &to.ah_attr);
    MUST(ah, "ibv_create_ah");
    OK(rdma_ack_cm_event(established));
    int sent = 0, received = 0;
    send_message(id, 0, ah, &to);
    complete(&sent, 1, &received, 0);
    OK(ibv_destroy_ah(ah));
}

static void ask(void) {
    enum kind kind = kind_of(number);
    uint64_t say = mix(number), reply = ~say;
    struct rdma_cm_id *id;
    OK(rdma_create_id(channel, &id, NULL, kind == DATAGRAM ? RDMA_PS_UDP : RDMA_PS_TCP));
    OK(rdma_resolve_addr(id, NULL, (struct sockaddr *)&address, 2000));
    happens(RDMA_CM_EVENT_ADDR_RESOLVED, 0, NULL);
    OK(rdma_resolve_route(id, 2000));
    happens(RDMA_CM_EVENT_ROUTE_RESOLVED, 0, NULL);
    make_queue_pair(id);
    struct rdma_conn_param parameters = {
        .private_data = &say, .private_data_len = sizeof say, .responder_resources = 1, .initiator_depth = 1,
        .retry_count = 7, .rnr_retry_count = 7,
    };
    OK(rdma_connect(id, &parameters));
    if (kind == REJECTED) {
        happens(RDMA_CM_EVENT_REJECTED, 28, &reply);  // "consumer reject" (IBTA 12.6.7.2)
        // Its queue pair is in error now, or never left INIT: what was posted does not come back after destruction.
        struct ibv_wc wc[MESSAGES];
        rdma_destroy_qp(id);
        while (ibv_poll_cq(cq, MESSAGES, wc) > 0) {}
    } else if (kind == DATAGRAM) {
        send_datagram(id, event(RDMA_CM_EVENT_ESTABLISHED, 0, &reply));
    } else {
        happens(RDMA_CM_EVENT_ESTABLISHED, 0, &reply);
        use(id);
        OK(rdma_disconnect(id));
        happens(RDMA_CM_EVENT_DISCONNECTED, 0, NULL);
    }
    close_id(id);
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t rounds = count > 1 ? strtoull(arguments[1], NULL, 10) : 8000;
    bool apart = count > 2 && strcmp(arguments[2], "apart") == 0;
    int ready[2];
    address.sin_port = htons(PORT);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(pipe(ready) == 0, "pipe");
    pid_t child = fork();
    MUST(child >= 0, "fork");
    rank = child == 0;
    if (apart) setenv("FERMATA_NODE", rank ? "2" : "1", 1);
    MUST(channel = rdma_create_event_channel(), "rdma_create_event_channel");
    char byte = 0;
    if (rank == 1) {
        MUST(read(ready[0], &byte, 1) == 1, "rank 0 does not listen");
        for (number = 0; number < rounds; number++) ask();
        return 0;
    }
    struct rdma_cm_id *streams = listening(RDMA_PS_TCP), *datagrams = listening(RDMA_PS_UDP);
    MUST(write(ready[1], &byte, 1) == 1, "write");
    for (number = 0; number < rounds; number++) {
        answer();
        if ((number + 1) % (rounds / 40 ? rounds / 40 : 1) == 0) printf("%llu rounds\n", (unsigned long long)number + 1);
    }
    OK(rdma_destroy_id(streams));
    OK(rdma_destroy_id(datagrams));
    int status = 0;
    MUST(waitpid(child, &status, 0) == child && status == 0, "rank 1 ended with %x", status);
    printf("connect: %llu rounds, all right\n", (unsigned long long)rounds);
    return 0;
}
