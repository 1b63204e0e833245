// SPDX-License-Identifier: Apache-2.0
// What the functions that need no object answer, for every argument near their range: run once
// with rdma-core's library and once with ours, the outputs must be equal.
#include <infiniband/sa.h>
#include <infiniband/verbs.h>
#include <rdma/ib_user_sa.h>
#include <rdma/ib_user_verbs.h>
#include <stdio.h>
#include <string.h>

// libibverbs exports these; its headers that declare them are not installed.
void ibv_copy_ah_attr_from_kern(struct ibv_ah_attr *, struct ib_uverbs_ah_attr *);
void ibv_copy_qp_attr_from_kern(struct ibv_qp_attr *, struct ib_uverbs_qp_attr *);
void ibv_copy_path_rec_from_kern(struct ibv_sa_path_rec *, struct ib_user_path_rec *);
void ibv_copy_path_rec_to_kern(struct ib_user_path_rec *, struct ibv_sa_path_rec *);
const char *ibv_get_sysfs_path(void);
int ibv_read_sysfs_file(const char *, const char *, char *, size_t);

static unsigned random_state = 1;

static void scramble(void *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)data)[i] = (random_state = random_state * 1103515245 + 12345) >> 16;
}

static void dump(const char *what, const void *data, size_t size) {
    printf("%s", what);
    for (size_t i = 0; i < size; i++) printf(" %02x", ((const unsigned char *)data)[i]);
    printf("\n");
}

int main(void) {
    for (int i = -2; i < 40; i++) {
        printf("%d: %s; %s; %s; %s\n", i, ibv_node_type_str(i), ibv_port_state_str(i),
               ibv_event_type_str(i), ibv_wc_status_str(i));
        printf("%d: mult %d mbps %d\n", i, ibv_rate_to_mult(i), ibv_rate_to_mbps(i));
    }
    for (int i = -5; i < 1000; i++) printf("mult %d: %d\n", i, mult_to_ibv_rate(i));
    for (int i = -5; i < 1500000; i++)
        if (mbps_to_ibv_rate(i) != 0) printf("mbps %d: %d\n", i, mbps_to_ibv_rate(i));

    for (int round = 0; round < 8; round++) {
        struct ib_uverbs_ah_attr kernel_ah;
        struct ibv_ah_attr ah;
        scramble(&kernel_ah, sizeof kernel_ah);
        memset(&ah, 0x5a, sizeof ah);
        ibv_copy_ah_attr_from_kern(&ah, &kernel_ah);
        dump("ah", &ah, sizeof ah);

        struct ib_uverbs_qp_attr kernel_qp;
        struct ibv_qp_attr qp;
        scramble(&kernel_qp, sizeof kernel_qp);
        memset(&qp, 0x5a, sizeof qp);
        ibv_copy_qp_attr_from_kern(&qp, &kernel_qp);
        dump("qp", &qp, sizeof qp);

        struct ib_user_path_rec kernel_path;
        struct ibv_sa_path_rec path;
        scramble(&kernel_path, sizeof kernel_path);
        memset(&path, 0x5a, sizeof path);
        ibv_copy_path_rec_from_kern(&path, &kernel_path);
        dump("path", &path, sizeof path);
        memset(&kernel_path, 0x5a, sizeof kernel_path);
        ibv_copy_path_rec_to_kern(&kernel_path, &path);
        dump("kernel path", &kernel_path, sizeof kernel_path);
    }
    char text[64];
    memset(text, '#', sizeof text);
    int length = ibv_read_sysfs_file("/proc/sys/kernel", "ostype", text, sizeof text);
    printf("%s %d %.*s\n", ibv_get_sysfs_path(), length, length, text);
    printf("%d\n", ibv_read_sysfs_file("/proc", "no such file", text, sizeof text));
    return 0;
}
