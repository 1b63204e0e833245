// One of two processes that try to reach each other although they are not of one job.
//
//   stranger MINE THEIRS [QUEUE-PAIRS]
//
// Writes what a peer has to know (queue pair, key, address) to the file MINE, waits for THEIRS, connects to what
// that says, and sends and writes there. Everything must fail as it does when nobody is there
// (IBV_WC_RETRY_EXC_ERR), and nothing must arrive here. QUEUE-PAIRS are made before, so that the two sides'
// numbers differ: each numbers its own.
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BYTES = 4096 };
#define MUST(condition, ...) do { if (!(condition)) { \
    printf("FAILED: "); printf(__VA_ARGS__); printf(" (errno %d)\n", errno); exit(1); } } while (0)

static struct ibv_qp *make(struct ibv_pd *pd, struct ibv_cq *cq) {
    struct ibv_qp_init_attr init = {
        .send_cq = cq, .recv_cq = cq, .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1},
    };
    struct ibv_qp *qp = ibv_create_qp(pd, &init);
    MUST(qp, "ibv_create_qp");
    return qp;
}

static void connect_to(struct ibv_qp *qp, uint32_t number, uint16_t lid) {
    struct ibv_qp_attr a = {
        .qp_state = IBV_QPS_INIT, .port_num = 1, .qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
    };
    MUST(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS), "to INIT");
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = number,
        .ah_attr = {.dlid = lid, .port_num = 1}, .max_dest_rd_atomic = 1, .min_rnr_timer = 1,
    };
    MUST(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN
        | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER), "to RTR");
    a = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS, .timeout = 10, .retry_cnt = 3, .rnr_retry = 3, .max_rd_atomic = 1};
    MUST(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY
        | IBV_QP_MAX_QP_RD_ATOMIC), "to RTS");
}

struct hello { uint32_t number, key; uint64_t address; uint16_t lid; };

static struct hello exchange(const char *mine_path, const char *theirs_path, struct hello mine) {
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", mine_path);
    FILE *file = fopen(temporary, "w");
    MUST(file && fwrite(&mine, sizeof mine, 1, file) == 1 && !fclose(file) && !rename(temporary, mine_path), "%s", mine_path);
    struct hello theirs;
    while (!(file = fopen(theirs_path, "r"))) usleep(10000);
    MUST(fread(&theirs, sizeof theirs, 1, file) == 1, "%s", theirs_path);
    fclose(file);
    return theirs;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: stranger MINE THEIRS [QUEUE-PAIRS]\n"), 64;
    alarm(60);
    struct ibv_device **devices = ibv_get_device_list(NULL);
    MUST(devices && devices[0], "no device");
    struct ibv_context *context = ibv_open_device(devices[0]);
    MUST(context, "ibv_open_device");
    struct ibv_port_attr port;
    MUST(!ibv_query_port(context, 1, &port), "ibv_query_port");
    struct ibv_pd *pd = ibv_alloc_pd(context);
    struct ibv_cq *cq = ibv_create_cq(context, 16, NULL, NULL, 0);
    uint8_t *data = malloc(2 * BYTES), *mark = data + BYTES;
    memset(data, 0x5a, BYTES), memset(mark, 0xee, BYTES);
    struct ibv_mr *mr = ibv_reg_mr(pd, data, 2 * BYTES,
        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ);
    MUST(pd && cq && mr, "ibv_alloc_pd, ibv_create_cq, ibv_reg_mr");
    for (int i = 0; argc > 3 && i < atoi(argv[3]); i++) make(pd, cq);
    for (enum ibv_wr_opcode opcode = IBV_WR_RDMA_WRITE; opcode <= IBV_WR_RDMA_READ; opcode++) {
        if (opcode != IBV_WR_RDMA_WRITE && opcode != IBV_WR_SEND && opcode != IBV_WR_RDMA_READ) continue;
        struct ibv_qp *qp = make(pd, cq);
        char paths[2][4096];
        for (int i = 0; i < 2; i++) snprintf(paths[i], sizeof paths[i], "%s.%d", argv[1 + i], opcode);
        struct hello mine = {qp->qp_num, mr->rkey, (uintptr_t)data, port.lid};
        struct hello theirs = exchange(paths[0], paths[1], mine);
        MUST(theirs.number != mine.number, "both have the number 0x%x: the test proves nothing", mine.number);
        connect_to(qp, theirs.number, theirs.lid);
        struct ibv_sge sge = {(uintptr_t)mark, BYTES, mr->lkey};
        struct ibv_recv_wr receive = {.wr_id = 1, .sg_list = &sge, .num_sge = 1}, *bad_receive;
        MUST(!ibv_post_recv(qp, &receive, &bad_receive), "ibv_post_recv");
        struct ibv_send_wr send = {
            .wr_id = 2, .sg_list = &sge, .num_sge = 1, .opcode = opcode, .send_flags = IBV_SEND_SIGNALED,
            .wr.rdma = {.remote_addr = theirs.address, .rkey = theirs.key},
        }, *bad;
        MUST(!ibv_post_send(qp, &send, &bad), "ibv_post_send");
        for (int seen = 0; seen < 2;) {
            struct ibv_wc wc;
            if (ibv_poll_cq(cq, 1, &wc) == 0) continue;
            enum ibv_wc_status expected = seen++ == 0 ? IBV_WC_RETRY_EXC_ERR : IBV_WC_WR_FLUSH_ERR;
            MUST(wc.status == expected, "opcode %d, request %d: %s", opcode, (int)wc.wr_id, ibv_wc_status_str(wc.status));
        }
        // The other side may still be trying.
        snprintf(paths[0], sizeof paths[0], "%s.%d.done", argv[1], opcode);
        snprintf(paths[1], sizeof paths[1], "%s.%d.done", argv[2], opcode);
        exchange(paths[0], paths[1], mine);
        for (int i = 0; i < BYTES; i++) MUST(data[i] == 0x5a && mark[i] == 0xee, "opcode %d: byte %d was written", opcode, i);
    }
    printf("nobody there, nothing came\n");
    return 0;
}
