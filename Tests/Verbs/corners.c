// SPDX-License-Identifier: Apache-2.0
// What once went wrong between two processes at an unlucky moment, each brought about on purpose.
//
//   corners CASE
//
// Within a node: short places spin. Between two nodes: again crowd read early doze last. By rdma_cm: gone relink
// (relink between two nodes). What is wrong is said on stdout, exit status 1; otherwise "CASE: all right".
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 16, SMALL = 64, LARGE = 64 << 20, SPOKES = 80, PROCESSES = 1700, PORT = 7471 };
static const char *name;
static uint8_t local_ack_timeout = 17;  // of 4.096 us * 2^17, a half second; three times tried again
static double between_polls = 0;        // s; 0: spins
static int rank, wire = -1;

#define MUST(condition, ...) do { if (!(condition)) { \
    printf("FAILED %s, rank %d: ", name, rank); printf(__VA_ARGS__); \
    printf(" (errno %d)\n", errno); fflush(stdout); _exit(1); } } while (0)
#define OK(call) MUST((call) == 0, "%s", #call)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static void pause_for(double seconds) { usleep((useconds_t)(seconds * 1e6)); }

// MARK: two processes, and what they say to each other

static void tell(const void *what, size_t size) { MUST(write(wire, what, size) == (ssize_t)size, "write"); }
static void hear(void *what, size_t size) {
    MUST(recv(wire, what, size, MSG_WAITALL) == (ssize_t)size, "the other has ended");
}
static void signal_other(void) { tell("", 1); }
static void wait_for_other(void) { char byte; hear(&byte, 1); }

// Runs both; `director`, in the parent, may stop them and let them go on, at what they say on its wire.
static void play(void (*ranks[2])(void), bool apart, void (*director)(const pid_t pids[2], int wires[2])) {
    int between[2], told[2][2];
    pid_t pids[2];
    fflush(stdout);
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, between));
    for (int i = 0; i < 2; i++) {
        OK(socketpair(AF_UNIX, SOCK_STREAM, 0, told[i]));
        MUST((pids[i] = fork()) >= 0, "fork");
        if (pids[i]) continue;
        alarm(30);
        rank = i, wire = director ? told[i][1] : between[i];
        if (director) close(told[i][0]); else close(between[!i]);
        if (apart) setenv("FERMATA_NODE", i ? "2@127.0.0.2" : "1@127.0.0.1", 1);
        ranks[i]();
        exit(0);
    }
    close(between[0]), close(between[1]), close(told[0][1]), close(told[1][1]);
    if (director) director(pids, (int[]){told[0][0], told[1][0]});
    for (int i = 0; i < 2; i++) {
        int status;
        MUST(waitpid(pids[i], &status, 0) == pids[i], "waitpid");
        MUST(status == 0, "process %d ended with status 0x%x", i, status);
    }
    close(told[0][0]), close(told[1][0]);
}

// MARK: verbs

static struct ibv_context *context;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static uint8_t *memory;
static struct ibv_mr *mr;
struct end { uint32_t number, key; uint64_t at; };

static void open_device(size_t bytes) {
    struct ibv_device **devices = ibv_get_device_list(NULL);
    MUST(devices && devices[0], "no device");
    MUST(context = ibv_open_device(devices[0]), "ibv_open_device");
    MUST((pd = ibv_alloc_pd(context)) && (cq = ibv_create_cq(context, 4 * DEPTH + SPOKES, NULL, NULL, 0)), "pd, cq");
    memory = calloc(1, bytes);
    int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_MW_BIND;
    MUST(mr = ibv_reg_mr(pd, memory, bytes, access), "ibv_reg_mr");
}

static struct ibv_qp *make(enum ibv_qp_type type) {
    struct ibv_qp_init_attr init = {
        .send_cq = cq, .recv_cq = cq, .qp_type = type, .sq_sig_all = 1,
        .cap = {.max_send_wr = DEPTH, .max_recv_wr = DEPTH, .max_send_sge = 1, .max_recv_sge = 1},
    };
    struct ibv_qp *qp = ibv_create_qp(pd, &init);
    MUST(qp, "ibv_create_qp");
    struct ibv_qp_attr a = {.qp_state = IBV_QPS_INIT, .port_num = 1,
        .qp_access_flags = type == IBV_QPT_RC ? IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE : 0};
    OK(ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS));
    return qp;
}

static void connect_to(struct ibv_qp *qp, uint32_t number) {
    struct ibv_port_attr port;
    OK(ibv_query_port(context, 1, &port));
    bool reliable = qp->qp_type == IBV_QPT_RC;
    struct ibv_qp_attr a = {.qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = number,
        .ah_attr = {.dlid = port.lid, .port_num = 1}, .max_dest_rd_atomic = 4, .min_rnr_timer = 1};
    OK(ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN
        | (reliable ? IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER : 0)));
    a = (struct ibv_qp_attr){
        .qp_state = IBV_QPS_RTS, .timeout = local_ack_timeout, .retry_cnt = 3, .rnr_retry = 7, .max_rd_atomic = 4};
    OK(ibv_modify_qp(qp, &a, IBV_QP_STATE | IBV_QP_SQ_PSN | (reliable ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT
        | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC : 0)));
}

static struct ibv_qp *connected(enum ibv_qp_type type, size_t bytes, struct end *theirs) {
    open_device(bytes);
    struct ibv_qp *qp = make(type);
    struct end mine = {qp->qp_num, mr->rkey, (uintptr_t)memory};
    tell(&mine, sizeof mine), hear(theirs, sizeof *theirs);
    connect_to(qp, theirs->number);
    return qp;
}

static void post_receive(struct ibv_qp *qp, uint64_t id, uint32_t bytes) {
    struct ibv_sge sge = {(uintptr_t)memory, bytes, mr->lkey};
    struct ibv_recv_wr wr = {.wr_id = id, .sg_list = &sge, .num_sge = 1}, *bad;
    OK(ibv_post_recv(qp, &wr, &bad));
}
static void post(struct ibv_qp *qp, enum ibv_wr_opcode opcode, uint64_t id, uint32_t bytes, const struct end *to) {
    struct ibv_sge sge = {(uintptr_t)memory, bytes, mr->lkey};
    struct ibv_send_wr wr = {.wr_id = id, .sg_list = &sge, .num_sge = 1, .opcode = opcode}, *bad;
    if (to) wr.wr.rdma.remote_addr = to->at, wr.wr.rdma.rkey = to->key;
    OK(ibv_post_send(qp, &wr, &bad));
}
static void expect(uint64_t id, enum ibv_wc_status status) {
    struct ibv_wc wc;
    double end = now() + 15;
    int n;
    while ((n = ibv_poll_cq(cq, 1, &wc)) == 0) {
        MUST(now() < end, "request %llu never completes", (unsigned long long)id);
        if (between_polls > 0) pause_for(between_polls);
    }
    MUST(n == 1 && wc.wr_id == id && wc.status == status, "request %llu: %s; expected %llu: %s",
         (unsigned long long)wc.wr_id, ibv_wc_status_str(wc.status), (unsigned long long)id, ibv_wc_status_str(status));
}

// MARK: cases

// Of four messages that wait for a receive, the second finds one that is too small.
static void short_receive(void) {
    open_device(4096);
    struct ibv_qp *from = make(IBV_QPT_RC), *to = make(IBV_QPT_RC);
    connect_to(to, from->qp_num), connect_to(from, to->qp_num);
    for (int i = 0; i < 4; i++) post(from, IBV_WR_SEND, i, SMALL, NULL);
    struct ibv_wc wc;
    for (int i = 0; i < 1000; i++) MUST(ibv_poll_cq(cq, 1, &wc) == 0, "a completion without a receive");
    struct ibv_sge sge[2] = {{(uintptr_t)memory, SMALL, mr->lkey}, {(uintptr_t)memory, SMALL / 2, mr->lkey}};
    struct ibv_recv_wr second = {.wr_id = 101, .sg_list = &sge[1], .num_sge = 1}, *bad;
    struct ibv_recv_wr first = {.wr_id = 100, .sg_list = &sge[0], .num_sge = 1, .next = &second};
    OK(ibv_post_recv(to, &first, &bad));
    expect(100, IBV_WC_SUCCESS), expect(101, IBV_WC_LOC_LEN_ERR);
    expect(0, IBV_WC_SUCCESS), expect(1, IBV_WC_REM_INV_REQ_ERR), expect(2, IBV_WC_WR_FLUSH_ERR);
    expect(3, IBV_WC_WR_FLUSH_ERR);
    OK(ibv_destroy_qp(from));
    OK(ibv_destroy_qp(to));
}

// More processes than there is room for at a time, one after the other: the last finds its regions.
static void places(void) {
    for (int i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        MUST(pid >= 0, "fork");
        if (pid == 0) {
            open_device(4096);
            _exit(0);
        }
        int status;
        MUST(waitpid(pid, &status, 0) == pid && status == 0, "process %d ended with status 0x%x", i, status);
    }
    short_receive();
}

// A window is bound, which takes a number and does not travel; the next request finds no receive.
static void bind_and_send(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_RC, 4096, &theirs);
    struct ibv_mw *window = ibv_alloc_mw(pd, IBV_MW_TYPE_2);
    MUST(window, "ibv_alloc_mw");
    struct ibv_send_wr bind = {.wr_id = 1, .opcode = IBV_WR_BIND_MW, .bind_mw = {
        .mw = window, .rkey = ibv_inc_rkey(window->rkey),
        .bind_info = {
            .mr = mr, .addr = (uintptr_t)memory, .length = 4096, .mw_access_flags = IBV_ACCESS_REMOTE_READ}}}, *bad;
    OK(ibv_post_send(qp, &bind, &bad));
    expect(1, IBV_WC_SUCCESS);
    post(qp, IBV_WR_SEND, 2, SMALL, NULL);
    struct ibv_wc wc;
    for (double end = now() + 0.2; now() < end;) MUST(ibv_poll_cq(cq, 1, &wc) == 0, "completed without a receive");
    signal_other();
    expect(2, IBV_WC_SUCCESS);
    wait_for_other();
}
static void receive_late(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_RC, 4096, &theirs);
    wait_for_other();
    post_receive(qp, 3, SMALL);
    expect(3, IBV_WC_SUCCESS);
    signal_other();
    for (double end = now() + 0.1; now() < end;) ibv_poll_cq(cq, 1, &(struct ibv_wc){0});
}

// Receives posted while the library's thread sleeps, and nobody polls after.
static void send_and_measure(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_RC, 4096, &theirs);
    for (int i = 0; i < 4; i++) {
        post(qp, IBV_WR_SEND, i, SMALL, NULL);
        wait_for_other();
        double posted = now();
        expect(i, IBV_WC_SUCCESS);
        MUST(now() - posted < 0.15, "a receive was noticed %.3f s after it was posted", now() - posted);
        signal_other();
    }
}
static void receive_and_sleep(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_RC, 4096, &theirs);
    for (int i = 0; i < 4; i++) {
        pause_for(0.61);
        post_receive(qp, i, SMALL);
        signal_other();
        wait_for_other();
    }
}

// Two large RDMA READs are under way, the link is full, and the memory is withdrawn.
static void read_large(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_RC, LARGE, &theirs);
    wait_for_other();
    post(qp, IBV_WR_RDMA_READ, 1, LARGE, &theirs), post(qp, IBV_WR_RDMA_READ, 2, LARGE, &theirs);
    signal_other();
    expect(1, IBV_WC_REM_ACCESS_ERR), expect(2, IBV_WC_WR_FLUSH_ERR);
}
static void withdraw(void) {
    struct end theirs;
    connected(IBV_QPT_RC, LARGE, &theirs);
    signal_other();
    wait_for_other();
    for (double end = now() + 0.3; now() < end;) ibv_poll_cq(cq, 1, &(struct ibv_wc){0});
    OK(ibv_dereg_mr(mr));
    signal_other();
    for (double end = now() + 2; now() < end;) ibv_poll_cq(cq, 1, &(struct ibv_wc){0});
}
static void pass(int from, int to, size_t size) {
    char bytes[64];
    MUST(recv(from, bytes, size, MSG_WAITALL) == (ssize_t)size && write(to, bytes, size) == (ssize_t)size, "pass");
}
static void direct_reads(const pid_t pids[2], int wires[2]) {
    pass(wires[0], wires[1], sizeof(struct end)), pass(wires[1], wires[0], sizeof(struct end));
    char byte;
    MUST(read(wires[1], &byte, 1) == 1, "rank 1");
    pause_for(0.2);                          // both know that the other is ready
    kill(pids[1], SIGSTOP);
    MUST(write(wires[0], "", 1) == 1 && read(wires[0], &byte, 1) == 1, "rank 0");
    kill(pids[0], SIGSTOP), kill(pids[1], SIGCONT);
    MUST(write(wires[1], "", 1) == 1 && read(wires[1], &byte, 1) == 1, "rank 1");
    kill(pids[0], SIGCONT);
}

// UC to a queue pair that is not ready to receive: lost, and completed.
static void send_early(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_UC, 4096, &theirs);
    for (int i = 0; i < DEPTH; i++) post(qp, IBV_WR_SEND, i, SMALL, NULL);
    for (int i = 0; i < DEPTH; i++) expect(i, IBV_WC_SUCCESS);
    signal_other();
}
static void not_ready(void) {
    open_device(4096);
    struct ibv_qp *qp = make(IBV_QPT_UC);
    struct end mine = {.number = qp->qp_num}, theirs;
    tell(&mine, sizeof mine), hear(&theirs, sizeof theirs);
    wait_for_other();
}

// The receiver ends as soon as it has its message, without another word.
static void send_to_mortal(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_RC, 4096, &theirs);
    wait_for_other();
    post(qp, IBV_WR_SEND, 1, SMALL, NULL);
    expect(1, IBV_WC_SUCCESS);
}
static void receive_and_end(void) {
    struct end theirs;
    struct ibv_qp *qp = connected(IBV_QPT_RC, 4096, &theirs);
    post_receive(qp, 1, SMALL);
    signal_other();
    expect(1, IBV_WC_SUCCESS);
}

// MARK: many at once

static struct crowd { uint32_t hub[SPOKES], spokes[SPOKES]; int made, sent, go; } *crowd;
static void wait_until(int *word, int least) {
    for (double end = now() + 25; __atomic_load_n(word, __ATOMIC_ACQUIRE) < least; usleep(1000))
        MUST(now() < end, "waited for %d, there are %d", least, *word);
}
static void add_one(int *word) { __atomic_fetch_add(word, 1, __ATOMIC_ACQ_REL); }

static void spoke(int i) {
    wait_until(&crowd->go, 1);               // the hub has its numbers
    open_device(4096);
    struct ibv_qp *qp = make(IBV_QPT_RC);
    crowd->spokes[i] = qp->qp_num;
    add_one(&crowd->made);
    wait_until(&crowd->go, 2);               // it is stopped
    connect_to(qp, crowd->hub[i]);
    post(qp, IBV_WR_SEND, i, SMALL, NULL);
    add_one(&crowd->sent);
    expect(i, IBV_WC_SUCCESS);
    _exit(0);
}
static void hub(void) {
    struct ibv_qp *pairs[SPOKES];
    open_device(4096);
    for (int i = 0; i < SPOKES; i++) crowd->hub[i] = (pairs[i] = make(IBV_QPT_RC))->qp_num;
    crowd->go = 1;
    wait_until(&crowd->go, 3);
    for (int i = 0; i < SPOKES; i++) post_receive(pairs[i], i, SMALL), connect_to(pairs[i], crowd->spokes[i]);
    struct ibv_wc wc;
    for (int done = 0; done < SPOKES; ) {
        int n = ibv_poll_cq(cq, 1, &wc);
        MUST(n == 0 || (n == 1 && wc.status == IBV_WC_SUCCESS), "a receive: %s", ibv_wc_status_str(wc.status));
        done += n;
    }
    wait_until(&crowd->go, 4);
    _exit(0);
}
// They all connect while the hub is stopped, so that it finds them in its backlog together.
static void come_together(void) {
    local_ack_timeout = 21;                  // the first wait for the last of eighty while the hub is stopped
    between_polls = 0.02;                    // eighty that spin would leave the hub no processor
    crowd = mmap(NULL, sizeof *crowd, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[SPOKES + 1];
    fflush(stdout);
    for (int i = 0; i <= SPOKES; i++) {
        MUST((pids[i] = fork()) >= 0, "fork");
        if (pids[i]) continue;
        alarm(50), rank = i + 1;
        setenv("FERMATA_NODE", i < SPOKES ? "2@127.0.0.2" : "1@127.0.0.1", 1);
        if (i < SPOKES) spoke(i); else hub();
    }
    wait_until(&crowd->made, SPOKES);
    pause_for(0.3);                          // the hub listens, having learnt of another node
    kill(pids[SPOKES], SIGSTOP);
    crowd->go = 2;
    wait_until(&crowd->sent, SPOKES);
    pause_for(0.5);
    crowd->go = 3;
    kill(pids[SPOKES], SIGCONT);
    for (int i = 0; i <= SPOKES; i++) {
        int status;
        if (i == SPOKES) crowd->go = 4;
        MUST(waitpid(pids[i], &status, 0) == pids[i] && status == 0, "process %d ended with status 0x%x", i, status);
    }
}

static long sleeps_of_helpers(void) {
    long all = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)); ) {
        char path[300], line[100];
        if (atoi(task->d_name) <= 0 || atoi(task->d_name) == getpid()) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        MUST(status, "%s", path);
        long one = -1;
        while (fgets(line, sizeof line, status)) sscanf(line, "voluntary_ctxt_switches: %ld", &one);
        MUST(one >= 0, "%s tells no switches", path);
        all += one, fclose(status);
    }
    closedir(tasks);
    return all;
}
static void spin(int i) {
    struct ibv_wc wc;
    rank = i;
    open_device(4096);
    make(IBV_QPT_RC);                        // without one the helpers have nothing to look at
    add_one(&crowd->made);
    wait_until(&crowd->go, 1);
    long sleeps = sleeps_of_helpers();
    double begin = now();
    while (now() < begin + 2) MUST(ibv_poll_cq(cq, 1, &wc) == 0, "a completion of nothing");
    sleeps = sleeps_of_helpers() - sleeps;
    MUST(sleeps < 250 * (now() - begin), "they slept %ld times in %.3f s", sleeps, now() - begin);
    exit(0);
}
// Eight per processor spin for two seconds: their helper threads leave the processors to what else runs there.
static void spin_together(void) {
    int all = 8 * (int)sysconf(_SC_NPROCESSORS_ONLN), status;
    crowd = mmap(NULL, sizeof *crowd, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < all; i++) {
        pid_t pid = fork();
        MUST(pid >= 0, "fork");
        if (pid == 0) spin(i);
    }
    wait_until(&crowd->made, all);
    crowd->go = 1;
    for (int i = 0; i < all; i++) MUST(wait(&status) > 0 && status == 0, "a process ended with status 0x%x", status);
}

// MARK: rdma_cm

static struct rdma_event_channel *channel;

static struct rdma_cm_event *event(void) {
    struct rdma_cm_event *e;
    OK(rdma_get_cm_event(channel, &e));
    return e;
}
static void happens(enum rdma_cm_event_type wanted) {
    struct rdma_cm_event *e = event();
    MUST(e->event == wanted, "%s, status %d; expected %s", rdma_event_str(e->event), e->status, rdma_event_str(wanted));
    OK(rdma_ack_cm_event(e));
}
static struct sockaddr_in place = {.sin_family = AF_INET};
static struct rdma_cm_id *listener(void) {
    struct rdma_cm_id *id;
    OK(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP));
    OK(rdma_bind_addr(id, (struct sockaddr *)&place));
    OK(rdma_listen(id, 8));
    return id;
}
static struct rdma_conn_param parameters = {.responder_resources = 1, .initiator_depth = 1, .qp_num = 1};
static struct rdma_cm_id *ask(void) {
    struct rdma_cm_id *id;
    OK(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP));
    OK(rdma_resolve_addr(id, NULL, (struct sockaddr *)&place, 1000));
    happens(RDMA_CM_EVENT_ADDR_RESOLVED);
    OK(rdma_resolve_route(id, 1000));
    happens(RDMA_CM_EVENT_ROUTE_RESOLVED);
    return id;
}
static void start_cm(void) {
    place.sin_port = htons(PORT), place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(channel = rdma_create_event_channel(), "rdma_create_event_channel");
}

// The client goes before the server accepts; then listeners go just when a request comes.
static void client_that_goes(void) {
    start_cm();
    wait_for_other();
    struct rdma_cm_id *id = ask();
    OK(rdma_connect(id, &parameters));
    wait_for_other();
    OK(rdma_destroy_id(id));
    signal_other();
    for (int i = 0; i < 300; i++) {
        wait_for_other();
        id = ask();
        signal_other();
        for (double end = now() + (rand() % 200) * 1e-6; now() < end;) ;
        OK(rdma_connect(id, &parameters));
        happens(RDMA_CM_EVENT_REJECTED);
        OK(rdma_destroy_id(id));
        signal_other();
    }
}
static void server_that_goes(void) {
    start_cm();
    struct rdma_cm_id *from = listener();
    signal_other();
    struct rdma_cm_event *request = event();
    MUST(request->event == RDMA_CM_EVENT_CONNECT_REQUEST, "%s", rdma_event_str(request->event));
    struct rdma_cm_id *id = request->id;
    OK(rdma_ack_cm_event(request));
    signal_other();
    wait_for_other();
    OK(rdma_accept(id, &parameters));
    happens(RDMA_CM_EVENT_REJECTED);
    OK(rdma_destroy_id(id));
    OK(rdma_destroy_id(from));
    for (int i = 0; i < 300; i++) {
        from = listener();
        signal_other();
        wait_for_other();
        for (double end = now() + (rand() % 400) * 1e-6; now() < end;) ;
        OK(rdma_destroy_id(from));
        wait_for_other();
    }
}

// All TCP connections of this process end, as when a firewall has forgotten them.
static void cut(void) {
    int cuts = 0;
    for (int s = 0; s < 1000; s++) {
        struct sockaddr_storage far;
        socklen_t size = sizeof far;
        if (getpeername(s, (struct sockaddr *)&far, &size) == 0 && far.ss_family == AF_INET)
            cuts += shutdown(s, SHUT_RDWR) == 0;
    }
    MUST(cuts > 0, "there are no connections");
}
static void connect_twice(void) {
    start_cm();
    wait_for_other();
    for (int i = 0; i < 2; i++) {
        struct rdma_cm_id *id = ask();
        OK(rdma_connect(id, &parameters));
        happens(RDMA_CM_EVENT_CONNECT_RESPONSE);
        OK(rdma_establish(id));
        wait_for_other();
        if (i == 0) {
            cut();
            happens(RDMA_CM_EVENT_DISCONNECTED);
            pause_for(1.2);
        }
        OK(rdma_destroy_id(id));
    }
}
static void accept_twice(void) {
    start_cm();
    listener();
    signal_other();
    for (int i = 0; i < 2; i++) {
        struct rdma_cm_event *request = event();
        MUST(request->event == RDMA_CM_EVENT_CONNECT_REQUEST, "%s", rdma_event_str(request->event));
        struct rdma_cm_id *id = request->id;
        OK(rdma_ack_cm_event(request));
        OK(rdma_accept(id, &parameters));
        happens(RDMA_CM_EVENT_ESTABLISHED);
        signal_other();
        happens(RDMA_CM_EVENT_DISCONNECTED);
        OK(rdma_destroy_id(id));
    }
}

int main(int argc, char **argv) {
    if (argc != 2) return fputs("usage: corners CASE\n", stderr), 64;
    name = argv[1];
    alarm(120);
    static const struct { const char *name; void (*ranks[2])(void); bool apart;
        void (*director)(const pid_t[2], int[2]); int rounds; } cases[] = {
        {"short", {short_receive}, false, NULL, 1}, {"places", {places}, false, NULL, 1},
        {"crowd", {come_together}, false, NULL, 1},
        {"spin", {spin_together}, false, NULL, 1},
        {"again", {bind_and_send, receive_late}, true, NULL, 1},
        {"read", {read_large, withdraw}, true, direct_reads, 1},
        {"early", {send_early, not_ready}, true, NULL, 1},
        {"doze", {send_and_measure, receive_and_sleep}, true, NULL, 1},
        {"last", {send_to_mortal, receive_and_end}, true, NULL, 30},
        {"gone", {client_that_goes, server_that_goes}, false, NULL, 1},
        {"relink", {accept_twice, connect_twice}, true, NULL, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(name, cases[i].name) != 0) continue;
        for (int round = 0; round < cases[i].rounds; round++) {
            if (!cases[i].ranks[1]) cases[i].ranks[0]();
            else play((void (*[2])(void)){cases[i].ranks[0], cases[i].ranks[1]}, cases[i].apart, cases[i].director);
        }
        printf("%s: all right\n", name);
        return 0;
    }
    return fprintf(stderr, "corners: no case %s\n", name), 64;
}
