// SPDX-License-Identifier: Apache-2.0
// C because: the layout of memory that processes share, atomic operations on plain memory, and the
// structures of <infiniband/verbs.h> with a field of ours behind them cannot be said in Swift.
#ifndef FERMATA_FABRIC_H
#define FERMATA_FABRIC_H

#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_user_cm.h>
#include <linux/futex.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <FabricSegment.h>

struct fermata_device {
    struct ibv_device device;
    char beyond[4096];           // providers cast any device to a larger structure of theirs and look
};

// MARK: handles: what the application sees, and our object behind it

struct fermata_context { struct verbs_context verbs; void *object; };
struct fermata_pd {
    struct ibv_pd pd;
    void *object;
    void *parent;                // of a parent domain: itself, `object` is the domain below
};
struct fermata_td { struct ibv_td td; void *object; };
struct fermata_mr { struct ibv_mr mr; void *object; };
struct fermata_mw { struct ibv_mw mw; void *object; };
struct fermata_channel { struct ibv_comp_channel channel; void *object; };
// No union here: Swift would lock, wait on and write back a copy of its members. A struct ibv_cq is
// the beginning of its ibv_cq_ex, and a struct ibv_qp of its ibv_qp_ex (ibv_cq_ex_to_cq(3)).
struct fermata_cq {
    struct ibv_cq_ex ex;
    void *object;
    pthread_mutex_t reading;     // from ibv_start_poll to ibv_end_poll
};
struct fermata_qp {
    struct ibv_qp_ex ex;
    void *object;
    pthread_mutex_t building;    // from ibv_wr_start to ibv_wr_complete or ibv_wr_abort
};
struct fermata_srq { struct ibv_srq srq; void *object; };
struct fermata_xrcd { struct ibv_xrcd xrcd; void *object; };
struct fermata_ah { struct ibv_ah ah; void *object; };

enum {
    FERMATA_CONTEXT_OFFSET = offsetof(struct verbs_context, context),
    FERMATA_NAME_OFFSET = offsetof(struct ibv_device, name),
    // What ibv_query_port filled before structures were given a size.
    FERMATA_OLD_PORT_BYTES = offsetof(struct ibv_port_attr, flags),
};

// MARK: records

enum fabric_kind {
    FABRIC_SEND = 1, FABRIC_WRITE, FABRIC_READ, FABRIC_FETCH_ADD, FABRIC_COMPARE_SWAP,
    FABRIC_ACK, FABRIC_VALUE, FABRIC_DATAGRAM,
    FABRIC_CONNECTION,           // between connection managers: a fabric_connection follows
    // Over links only.
    FABRIC_STATE,                // of the source: status is its enum ibv_qp_state
    FABRIC_RESPONSE,             // bytes that an RDMA READ has asked for
    FABRIC_RESEND,               // no receive was posted for this sequence; now there is one
};
enum {
    FABRIC_IMMEDIATE = 1, FABRIC_SOLICITED = 2, FABRIC_INVALIDATE = 4,
    FABRIC_BY_ADDRESS = 8,       // payload: fabric_piece[]: fetch (or store) the bytes yourself
    FABRIC_ROUTED = 16,          // a global route header
    FABRIC_UNRELIABLE = 32,      // UC: lost without a receive, never refused
};

struct fabric_record {
    uint32_t bytes;              // of the whole record, a multiple of 8; 0: the ring wraps here
    uint8_t kind, flags;
    uint8_t status;              // acknowledgement: enum ibv_wc_status
    uint8_t generation;          // of the source: what it sent before a reset is none of its new life's
    uint32_t destination, source;  // queue pair numbers
    uint64_t sequence;           // of the request, counted from 0 by its queue pair
    uint64_t length;             // bytes of the message
    uint64_t address;            // remote address; atomic: old value in FABRIC_VALUE
    // Atomic: compare or add, swap. Datagram: Q_Key, source GUID. Connection: the sender's cookie. Over
    // links, of SEND, WRITE and RESPONSE: where in the message the payload begins.
    uint64_t operands[2];
    uint32_t key;
    uint32_t immediate;          // or key to invalidate
};
struct fabric_piece { uint64_t address, length; };

// Messages of the communication manager (IBTA 12.6) between two processes; `destination` and
// `source` of the record are ids of theirs.
enum fabric_message {
    FABRIC_REQ = 1, FABRIC_REP, FABRIC_RTU, FABRIC_REJ, FABRIC_DREQ, FABRIC_DREP, FABRIC_SIDR_REQ,
    FABRIC_SIDR_REP,
};
struct fabric_connection {
    uint32_t message;            // enum fabric_message
    uint32_t status;             // REJ: reason
    uint32_t sequence_number;    // the sender's first packet sequence number
    uint32_t space;              // REQ: enum rdma_ucm_port_space
    struct sockaddr_in6 from, to;  // REQ: IPv4 mapped
    struct rdma_ucm_conn_param parameters;
};

// MARK: links

// How the ends of a TCP connection between two processes of the job show that they know its key: the
// one that has accepted says hello, the other claims to be a process, the first welcomes it.
#define FABRIC_LINK_MAGIC 0x6665726d61746131ULL
struct fabric_hello { uint64_t magic, nonce[2]; };
struct fabric_claim { uint64_t magic, nonce[2], slot, life, proof; };
struct fabric_welcome { uint64_t proof; };

static inline int fabric_stream_socket(int family) {
    int s = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return s < 0 ? -errno : s;
}
static inline int fabric_accept(int listener) {
    long s = syscall(SYS_accept4, (long)listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return s < 0 ? -errno : (int)s;
}
// Small records go at once (tcp(7)).
static inline void fabric_no_delay(int s) {
    int on = 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
// A connection is ready to be read when so many bytes are there, or its end.
static inline void fabric_receive_least(int s, int bytes) {
    setsockopt(s, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}
static inline int fabric_socket_error(int s) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}
// Bytes, or -errno.
static inline long fabric_send(int s, struct iovec *list, unsigned long count) {
    struct msghdr message = {.msg_iov = list, .msg_iovlen = count};
    long n;
    do n = sendmsg(s, &message, MSG_NOSIGNAL); while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
static inline long fabric_receive(int s, struct iovec *list, unsigned long count) {
    struct msghdr message = {.msg_iov = list, .msg_iovlen = count};
    long n;
    do n = recvmsg(s, &message, 0); while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
struct fabric_ready { uint64_t tag; uint32_t events, unused; };
static inline int fabric_epoll_set(int epoll, int operation, int s, uint32_t events, uint64_t tag) {
    struct epoll_event event = {.events = events, .data = {.u64 = tag}};
    return epoll_ctl(epoll, operation, s, &event);
}
// At most FABRIC_READY of what is ready; `milliseconds` -1: waits for it.
enum { FABRIC_READY = 32 };
static inline int fabric_epoll_wait(int epoll, struct fabric_ready *out, int milliseconds) {
    struct epoll_event events[FABRIC_READY];
    int n = epoll_wait(epoll, events, FABRIC_READY, milliseconds);
    for (int i = 0; i < n; i++) out[i] = (struct fabric_ready){events[i].data.u64, events[i].events, 0};
    return n < 0 ? -errno : n;
}

// MARK: atomic operations on shared words

static inline uint32_t fabric_load32(const void *p) {
    return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
}
static inline uint64_t fabric_load64(const void *p) {
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}
static inline void fabric_store32(void *p, uint32_t v) {
    __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE);
}
static inline void fabric_store64(void *p, uint64_t v) {
    __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE);
}
static inline uint32_t fabric_add32(void *p, uint32_t v) {
    return __atomic_fetch_add((uint32_t *)p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t fabric_add64(void *p, uint64_t v) {
    return __atomic_fetch_add((uint64_t *)p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t fabric_or64(void *p, uint64_t v) {
    return __atomic_fetch_or((uint64_t *)p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t fabric_take64(void *p) {
    return __atomic_exchange_n((uint64_t *)p, 0, __ATOMIC_SEQ_CST);
}
static inline uint32_t fabric_swap32(void *p, uint32_t v) {
    return __atomic_exchange_n((uint32_t *)p, v, __ATOMIC_SEQ_CST);
}
static inline int fabric_claim32(void *p, uint32_t old, uint32_t new_value) {
    return __atomic_compare_exchange_n(
        (uint32_t *)p, &old, new_value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline void fabric_raise32(void *p, uint32_t least) {
    uint32_t seen = fabric_load32(p);
    while (seen < least && !fabric_claim32(p, seen, least)) seen = fabric_load32(p);
}
static inline int fabric_claim64(void *p, uint64_t old, uint64_t new_value) {
    return __atomic_compare_exchange_n(
        (uint64_t *)p, &old, new_value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
// Nothing after it is read before what is stored before it can be seen.
static inline void fabric_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
// The atomics of the verbs API on an application's memory, 8 bytes, aligned.
static inline uint64_t fabric_fetch_add(void *p, uint64_t v) { return fabric_add64(p, v); }
static inline uint64_t fabric_compare_swap(void *p, uint64_t old, uint64_t new_value) {
    __atomic_compare_exchange_n((uint64_t *)p, &old, new_value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return old;
}
static inline void *fabric_map(int descriptor) {
    int kind = MAP_SHARED | MAP_NORESERVE;
    void *p = mmap(NULL, FABRIC_BYTES, PROT_READ | PROT_WRITE, kind, descriptor, 0);
    return p == MAP_FAILED ? NULL : p;
}
// Private memory that takes no room until it is written; NULL when there is none.
static inline void *fabric_blank(size_t bytes, int protection) {
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

// MARK: system calls without a wrapper, and with variable arguments

static inline long fabric_futex_wait(void *word, uint32_t value, int64_t nanoseconds) {
    struct timespec t = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    long r = syscall(SYS_futex, word, FUTEX_WAIT, value, nanoseconds < 0 ? NULL : &t, NULL, 0);
    return r < 0 ? -errno : r;
}
static inline void fabric_futex_wake(void *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
static inline long fabric_memfd(const char *name) {
    return syscall(SYS_memfd_create, name, 1 /* MFD_CLOEXEC */ + 0UL);
}
static inline uint32_t fabric_thread(void) { return syscall(SYS_gettid); }
// The count of an eventfd(2) that others may read at the same time and have made blocking. Neither
// blocks, and neither is a cancellation point, which write(2) is: they run under a lock.
static inline void fabric_count_up(int descriptor) {
    uint64_t one = 1;
    syscall(SYS_write, (long)descriptor, &one, sizeof one);
}
static inline void fabric_count_down(int descriptor) {
    uint64_t one;
    struct iovec into = {&one, sizeof one};
    struct pollfd ready = {descriptor, POLLIN, 0};
    if (syscall(SYS_preadv2, (long)descriptor, &into, 1UL, -1L, -1L, 8L /* RWF_NOWAIT */) < 0
        && errno == EOPNOTSUPP && syscall(SYS_poll, &ready, 1UL, 0L) == 1)  // kernels before 5.8
        syscall(SYS_read, (long)descriptor, &one, sizeof one);
}
// Of the process that `thread` belongs to.
static inline long fabric_read_memory(uint32_t thread, const struct iovec *own, unsigned long owns,
                                      const struct iovec *theirs, unsigned long count) {
    long r = syscall(SYS_process_vm_readv, (long)thread, own, owns, theirs, count, 0UL);
    return r < 0 ? -errno : r;
}
static inline long fabric_write_memory(uint32_t thread, const struct iovec *own, unsigned long owns,
                                       const struct iovec *theirs, unsigned long count) {
    long r = syscall(SYS_process_vm_writev, (long)thread, own, owns, theirs, count, 0UL);
    return r < 0 ? -errno : r;
}
// Lets every process of the user read and write this one's memory, where Yama (ptrace_scope 1) lets
// ancestors only; without Yama it fails, and nothing is needed.
static inline void fabric_admit_peers(void) { prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); }
static inline int64_t fabric_wallclock(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static inline int64_t fabric_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// Swift does not import arrays of this length.
static inline struct fabric_slot *fabric_slot_at(struct fabric_segment *s, uint32_t i) {
    return &s->slots[i];
}
static inline struct fabric_queue_pair *fabric_queue_pair_at(struct fabric_segment *s, uint32_t n) {
    return &s->queue_pairs[n];
}
static inline struct fabric_member *fabric_member_at(struct fabric_segment *s, uint32_t i) {
    return &s->members[i];
}
static inline struct fabric_named_domain *fabric_named_domain_at(struct fabric_segment *s, uint32_t i) {
    return &s->named_domains[i];
}
static inline struct fabric_port *fabric_port_at(struct fabric_segment *s, uint32_t i) {
    return &s->ports[i];
}
static inline void *fabric_active_word(struct fabric_slot *s, uint32_t i) { return &s->active[i]; }
static inline void *fabric_incoming_word(struct fabric_slot *s, uint32_t i) { return &s->incoming[i]; }
static inline uint8_t *fabric_ring_data(struct fabric_ring *r) { return (uint8_t *)(r + 1); }

// The supervisor's door (FERMATA_VERBS names its socket): the descriptor of the job's segment, or
// -errno. Blocks for as long as the supervisor takes.
int fabric_knock(const char *path);

#endif
