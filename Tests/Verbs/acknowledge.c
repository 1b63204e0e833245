// Destroys a queue pair and a completion queue whose event is acknowledged late, from another thread:
// both calls have to wait for it (ibv_destroy_qp(3), ibv_destroy_cq(3)), and no longer.
//
// acknowledge ROUNDS
#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { printf("failed: %s\n", #what); exit(1); } } while (0)

struct objects {
    struct ibv_context *context;
    struct ibv_comp_channel *channel;
    pthread_barrier_t taken;     // both events are taken, none is acknowledged
    atomic_int acknowledged;
    int pause;                   // microseconds before each acknowledgement
};

static void *acknowledge(void *argument) {
    struct objects *objects = argument;
    struct ibv_async_event event;
    CHECK(!ibv_get_async_event(objects->context, &event));
    CHECK(event.event_type == IBV_EVENT_QP_LAST_WQE_REACHED);
    struct ibv_cq *queue;
    void *data;
    CHECK(!ibv_get_cq_event(objects->channel, &queue, &data));
    pthread_barrier_wait(&objects->taken);
    usleep(objects->pause);
    atomic_store(&objects->acknowledged, 1);
    ibv_ack_async_event(&event);
    usleep(objects->pause);
    atomic_store(&objects->acknowledged, 2);
    ibv_ack_cq_events(queue, 1);
    return NULL;
}

/// One queue pair fails: its last work request has been reached (it has a shared receive queue), and
/// the request that was posted comes back flushed.
static void round_of(struct ibv_context *context, struct ibv_pd *domain, int pause) {
    struct objects objects = {.context = context, .pause = pause};
    pthread_barrier_init(&objects.taken, NULL, 2);
    CHECK(objects.channel = ibv_create_comp_channel(context));
    struct ibv_cq *queue = ibv_create_cq(context, 4, NULL, objects.channel, 0);
    CHECK(queue && !ibv_req_notify_cq(queue, 0));
    struct ibv_srq_init_attr shared = {.attr = {.max_wr = 1, .max_sge = 1}};
    struct ibv_srq *receives = ibv_create_srq(domain, &shared);
    CHECK(receives);
    struct ibv_qp_init_attr init = {
        .send_cq = queue, .recv_cq = queue, .srq = receives, .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = 1, .max_send_sge = 1}};
    struct ibv_qp *pair = ibv_create_qp(domain, &init);
    CHECK(pair);
    struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_INIT, .port_num = 1};
    CHECK(!ibv_modify_qp(pair, &attributes,
                         IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS));
    attributes.qp_state = IBV_QPS_ERR;
    CHECK(!ibv_modify_qp(pair, &attributes, IBV_QP_STATE));
    struct ibv_send_wr request = {.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED}, *bad;
    CHECK(!ibv_post_send(pair, &request, &bad));

    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, acknowledge, &objects));
    pthread_barrier_wait(&objects.taken);
    CHECK(!ibv_destroy_qp(pair));
    CHECK(atomic_load(&objects.acknowledged) >= 1);
    CHECK(!ibv_destroy_cq(queue));
    CHECK(atomic_load(&objects.acknowledged) == 2);
    CHECK(!pthread_join(thread, NULL));
    CHECK(!ibv_destroy_srq(receives) && !ibv_destroy_comp_channel(objects.channel));
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    struct ibv_device **list = ibv_get_device_list(NULL);
    CHECK(list && list[0]);
    struct ibv_context *context = ibv_open_device(list[0]);
    CHECK(context);
    struct ibv_pd *domain = ibv_alloc_pd(context);
    CHECK(domain);
    // From "at once" to well after the destroying thread has gone to sleep.
    int rounds = atoi(argv[1]);
    for (int i = 0; i < rounds; i++) round_of(context, domain, i * i);
    printf("%d rounds\n", rounds);
    return 0;
}
