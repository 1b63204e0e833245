// N pairs of connected RC queue pairs in one process, and nothing to do: what they cost while they are idle, and in
// a checkpoint. usage: pairs N
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(int ok, const char *what)
{
    if (!ok) perror(what), exit(1);
}

static void connect_to(struct ibv_qp *qp, uint32_t peer, uint16_t lid)
{
    struct ibv_qp_attr a = { .qp_state = IBV_QPS_INIT, .port_num = 1 };
    check(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS), "INIT");
    a = (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = peer,
        .max_dest_rd_atomic = 1, .min_rnr_timer = 12, .ah_attr = { .dlid = lid, .port_num = 1 } };
    check(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
        IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER), "RTR");
    a = (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTS, .timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
        .max_rd_atomic = 1 };
    check(!ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
        IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC), "RTS");
}

int main(int argc, char **argv)
{
    int pairs = argc > 1 ? atoi(argv[1]) : 1;
    struct ibv_device **devices = ibv_get_device_list(NULL);
    check(devices && devices[0], "devices");
    struct ibv_context *context = ibv_open_device(devices[0]);
    check(context != NULL, "ibv_open_device");
    struct ibv_port_attr port;
    check(!ibv_query_port(context, 1, &port), "ibv_query_port");
    struct ibv_pd *pd = ibv_alloc_pd(context);
    struct ibv_cq *cq = ibv_create_cq(context, 1024, NULL, NULL, 0);
    check(pd && cq, "ibv_create_cq");
    struct ibv_qp_init_attr wanted = { .send_cq = cq, .recv_cq = cq, .qp_type = IBV_QPT_RC,
        .cap = { .max_send_wr = 16, .max_recv_wr = 16, .max_send_sge = 1, .max_recv_sge = 1 } };
    for (int i = 0; i < pairs; i++) {
        struct ibv_qp *a = ibv_create_qp(pd, &wanted), *b = ibv_create_qp(pd, &wanted);
        check(a && b, "ibv_create_qp");
        connect_to(a, b->qp_num, port.lid);
        connect_to(b, a->qp_num, port.lid);
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) pause();
}
