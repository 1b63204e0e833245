// SPDX-License-Identifier: Apache-2.0
// The extended queues of one process, by itself: batches are all or nothing, requests are taken as
// they were when they were begun, entries can be read field by field. Prints what is wrong.
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong;
#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            printf("line %d: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
            wrong = 1; \
        } \
    } while (0)

static struct ibv_context *context;
static struct ibv_pd *domain;
static struct ibv_cq_ex *queue;
static struct ibv_qp *left, *right;
static struct ibv_mr *region, *nothing;
static char *memory;

static struct ibv_cq *plain(void) { return ibv_cq_ex_to_cq(queue); }

static void make_queue(void) {
    struct ibv_cq_init_attr_ex wanted = {
        .cqe = 64,
        .wc_flags = IBV_WC_STANDARD_FLAGS | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP
            | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK,
    };
    EXPECT((queue = ibv_create_cq_ex(context, &wanted)));
    wanted.wc_flags = IBV_WC_EX_WITH_TM_INFO;
    errno = 0;
    EXPECT(!ibv_create_cq_ex(context, &wanted) && errno == EOPNOTSUPP);
}

static void make_pair(void) {
    struct ibv_qp_init_attr_ex wanted = {
        .send_cq = plain(),
        .recv_cq = plain(),
        .cap = {8, 8, 2, 2, 64},
        .qp_type = IBV_QPT_RC,
        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
        .pd = domain,
        .send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM,
    };
    EXPECT((left = ibv_create_qp_ex(context, &wanted)));
    EXPECT((right = ibv_create_qp_ex(context, &wanted)));
    wanted.send_ops_flags |= IBV_QP_EX_WITH_TSO;
    errno = 0;
    EXPECT(!ibv_create_qp_ex(context, &wanted) && errno == EOPNOTSUPP);
}

static void connect_to(struct ibv_qp *qp, struct ibv_qp *peer, uint16_t lid) {
    struct ibv_qp_attr a = {.qp_state = IBV_QPS_INIT, .port_num = 1};
    EXPECT(!ibv_modify_qp(qp, &a,
        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = peer->qp_num,
        .max_dest_rd_atomic = 1, .min_rnr_timer = 1, .ah_attr = {.dlid = lid, .port_num = 1}};
    EXPECT(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN
        | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTS, .timeout = 14, .retry_cnt = 7, .rnr_retry = 7, .max_rd_atomic = 1};
    EXPECT(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT
        | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC));
}

static void receive(uint64_t id, uint64_t address, uint32_t length, uint32_t key) {
    struct ibv_sge piece = {address, length, key};
    struct ibv_recv_wr request = {.wr_id = id, .sg_list = &piece, .num_sge = 1}, *bad;
    EXPECT(!ibv_post_recv(right, &request, &bad));
}

// Everything that was sent has arrived by the time that a process has polled itself empty.
static int arrived(void) {
    struct ibv_wc entry;
    int count = 0;
    while (ibv_poll_cq(plain(), 1, &entry) == 1) {
        EXPECT(entry.status == IBV_WC_SUCCESS);
        count++;
    }
    return count;
}

static void refuse_batches(struct ibv_qp_ex *qp) {
    char large[128] = {0};
    ibv_wr_start(qp);
    ibv_wr_send(qp);
    ibv_wr_set_inline_data(qp, "gone", 5);
    ibv_wr_abort(qp);
    EXPECT(arrived() == 0);

    ibv_wr_start(qp);
    ibv_wr_send(qp);
    ibv_wr_set_inline_data(qp, "good", 5);
    ibv_wr_send(qp);
    ibv_wr_set_inline_data(qp, large, sizeof large);
    EXPECT(ibv_wr_complete(qp) == EINVAL);
    EXPECT(arrived() == 0);

    ibv_wr_start(qp);
    for (int i = 0; i < 9; i++) ibv_wr_send(qp);
    EXPECT(ibv_wr_complete(qp) == ENOMEM);
    EXPECT(arrived() == 0);

    ibv_wr_start(qp);
    ibv_wr_set_sge(qp, region->lkey, (uintptr_t)memory, 1);
    EXPECT(ibv_wr_complete(qp) == EINVAL);
}

static void send_batch(struct ibv_qp_ex *qp) {
    char text[] = "first";
    receive(21, (uintptr_t)memory + 1024, 64, region->lkey);
    receive(22, (uintptr_t)memory + 2048, 64, region->lkey);
    ibv_wr_start(qp);
    qp->wr_id = 11;
    qp->wr_flags = 0;
    ibv_wr_send(qp);
    ibv_wr_set_inline_data(qp, text, sizeof text);
    strcpy(text, "later");
    qp->wr_id = 12;
    qp->wr_flags = IBV_SEND_SIGNALED;
    ibv_wr_send_imm(qp, 77);
    ibv_wr_set_sge(qp, region->lkey, (uintptr_t)memory, 4);
    qp->wr_id = 13;
    EXPECT(!ibv_wr_complete(qp));
}

static void read_entries(void) {
    struct ibv_poll_cq_attr attributes = {0};
    int ids[2] = {0}, sent = 0, received = 0;
    uint64_t before = 0;
    for (int tries = 0; tries < 1000 && sent + received < 3; tries++) {
        if (ibv_start_poll(queue, &attributes)) continue;
        do {
            uint64_t now = ibv_wc_read_completion_ts(queue);
            EXPECT(queue->status == IBV_WC_SUCCESS && now >= before);
            EXPECT(ibv_wc_read_completion_wallclock_ns(queue) > 0);
            before = now;
            if (ibv_wc_read_opcode(queue) == IBV_WC_SEND) {
                EXPECT(queue->wr_id == 12 && ibv_wc_read_qp_num(queue) == left->qp_num);
                sent++;
            } else if (received < 2) {
                ids[received++] = (int)queue->wr_id;
                int has = (ibv_wc_read_wc_flags(queue) & IBV_WC_WITH_IMM) != 0;
                EXPECT(has == (queue->wr_id == 22));
                EXPECT(!has || ibv_wc_read_imm_data(queue) == 77);
                EXPECT(ibv_wc_read_byte_len(queue) == (has ? 4 : 6));
            }
        } while (!ibv_next_poll(queue));
        ibv_end_poll(queue);
    }
    EXPECT(sent == 1 && received == 2 && ids[0] == 21 && ids[1] == 22);
    EXPECT(!strcmp(memory + 1024, "first"));
    EXPECT(ibv_start_poll(queue, &attributes) == ENOENT);
    attributes.comp_mask = 1;
    EXPECT(ibv_start_poll(queue, &attributes) == EINVAL);
}

static void use_nothing(struct ibv_qp_ex *qp) {
    memset(memory, 7, 64);
    receive(1, (uintptr_t)memory, 64, region->lkey);
    receive(2, 0, 64, nothing->lkey);
    ibv_wr_start(qp);
    ibv_wr_send(qp);
    ibv_wr_set_sge(qp, nothing->lkey, 0x1234, 64);
    ibv_wr_send(qp);
    ibv_wr_set_sge(qp, region->lkey, (uintptr_t)memory + 1024, 64);
    EXPECT(!ibv_wr_complete(qp));
    int count = 0;
    for (int tries = 0; tries < 1000 && count < 4; tries++) count += arrived();
    EXPECT(count == 4 && memory[0] == 0 && memory[63] == 0);
}

int main(void) {
    struct ibv_device **list = ibv_get_device_list(NULL);
    struct ibv_port_attr port;
    if (!list || !list[0] || !(context = ibv_open_device(list[0]))) return puts("no device"), 1;
    EXPECT(!ibv_query_port(context, 1, &port));
    EXPECT((domain = ibv_alloc_pd(context)));
    memory = calloc(1, 4096);
    EXPECT((region = ibv_reg_mr(domain, memory, 4096, IBV_ACCESS_LOCAL_WRITE)));
    EXPECT((nothing = ibv_alloc_null_mr(domain)));
    make_queue();
    make_pair();
    if (wrong) return 1;
    connect_to(left, right, port.lid);
    connect_to(right, left, port.lid);
    struct ibv_qp_ex *qp = ibv_qp_to_qp_ex(left);
    refuse_batches(qp);
    send_batch(qp);
    read_entries();
    use_nothing(qp);
    EXPECT(ibv_destroy_cq(plain()) == EBUSY);
    EXPECT(!ibv_destroy_qp(left) && !ibv_destroy_qp(right) && !ibv_destroy_cq(plain()));
    EXPECT(!ibv_dereg_mr(region) && !ibv_dereg_mr(nothing) && !ibv_dealloc_pd(domain));
    EXPECT(!ibv_close_device(context));
    return wrong;
}
