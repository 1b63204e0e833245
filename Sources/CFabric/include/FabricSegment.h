// SPDX-License-Identifier: Apache-2.0
// The segment: memory that all processes of a job on one host share (Segment in VerbsInterposer), and
// that `fermata status --verbs` reads. C because: memory that processes share has one layout.
#ifndef FERMATA_FABRIC_SEGMENT_H
#define FERMATA_FABRIC_SEGMENT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FABRIC_SLOTS = 2048,         // processes of the job on this host
    FABRIC_QUEUE_PAIRS = 1 << 20,
    FABRIC_REGIONS = 1 << 16,    // memory regions and windows of one process
    FABRIC_RING_BYTES = 64 << 10,
    FABRIC_MEMBERS = 4096,       // multicast memberships
    FABRIC_NAMED_DOMAINS = 1024, // XRC domains that a file names
    FABRIC_PORTS = 8192,         // of the connection manager, all port spaces together
    FABRIC_FIRST_NUMBER = 0x100, // of queue pairs: 0 and 1 are special (IBTA 3.9.2)
};
#define FABRIC_MAGIC 0x6661627269633036ULL  // raised with every change of the layout
#define FABRIC_BYTES (4ULL << 30)

// One process. A slot is taken by compare-and-swap of `pid` and `thread`, from 0 or from those of a process
// that has ended. `pid` alone: it is being made ready.
struct fabric_slot {
    uint32_t pid;                // in the job's pid namespace
    uint32_t thread;             // that lives as long as the process's verbs: not beyond an execve(2)
    uint32_t doorbell;           // futex: counts records for this process
    uint32_t sleeping;           // its helper thread waits on `doorbell`
    uint64_t regions;            // offset of its array of FABRIC_REGIONS fabric_region
    uint64_t regions_used;       // entries from this one on were never written
    struct in6_addr address;     // where it listens for links; IPv4 mapped
    uint32_t port;               // host byte order; 0: it does not listen
    uint32_t node;               // processes of different nodes share no rings: they have links
    uint64_t life;               // counts the processes that have had the slot
    uint64_t active[FABRIC_SLOTS / 64];  // bit n: the ring from slot n holds something
    uint64_t incoming[FABRIC_SLOTS];     // offset of the ring from slot n; 0: none yet
};

// A memory region or window as its owner exports it, for peers that place data themselves.
struct fabric_region {
    uint64_t start, length;      // the process's own addresses
    uint64_t base;               // what remote addresses are relative to (ibv_reg_mr_iova)
    uint32_t access;             // enum ibv_access_flags
    uint32_t domain;             // protection domain
    uint32_t key;                // rkey that opens it; 0: none
    uint32_t queue_pair;         // memory windows: the only queue pair that it opens for; 0: any
};

// What has a number: the numbers of queue pairs and of XRC shared receive queues are one space.
enum fabric_numbered { FABRIC_PAIR = 1, FABRIC_TARGET, FABRIC_SHARED };

// A queue pair, or an XRC shared receive queue, as its owner exports it.
struct fabric_queue_pair {
    uint32_t owner;              // slot + 1; 0: free
    uint32_t state;              // enum ibv_qp_state
    uint32_t access;             // enum ibv_access_flags of incoming requests
    uint32_t domain;
    uint32_t peer;               // RC, UC, XRC: the other queue pair's number
    uint32_t kind;               // enum fabric_numbered
    uint32_t index;              // in its owner's table
    uint32_t users;              // handles of an XRC target queue pair
    uint32_t xrc_domain;
    uint32_t generation;         // raised by each reset
    uint32_t destination_reads;  // XRC target: max_dest_rd_atomic
    uint32_t receiver_not_ready; // XRC target: min_rnr_timer
    uint32_t type;               // enum ibv_qp_type
    uint32_t unused[3];
    // Counters, for people who look at the job; on a cache line that its peers do not read.
    uint64_t posted, finished;   // send requests
    uint64_t executed;           // requests of the peer carried out, datagrams received
    uint64_t unused_too[5];
};

// A port that an rdma_cm_id is bound to. An id that listens is found by it.
struct fabric_port {
    uint32_t owner;              // slot + 1; 0: free
    uint32_t id;                 // in its process
    uint16_t space;              // enum rdma_ucm_port_space
    uint16_t port;               // host byte order
    uint8_t listens, shares;     // RDMA_OPTION_ID_REUSEADDR
    uint8_t unused[2];
    struct in6_addr address;     // IPv4 mapped; all zero: any
};
struct fabric_named_domain { uint64_t device, inode; uint32_t users, number; };
struct fabric_member { uint8_t group[16]; uint32_t queue_pair; uint32_t reserved; };

// Records from one process to another. `head` is written by the source, `tail` by the
// destination; both count bytes and never go back.
struct fabric_ring {
    uint64_t head;
    uint32_t placing;            // the source is writing into the destination's memory
    uint32_t unused;
    uint64_t apart[14];          // of the destination's cache lines
    uint64_t tail;
    uint32_t starved;            // the source waits for room: ring its doorbell
    uint32_t unused_too;
    uint64_t apart_too[14];
};                               // FABRIC_RING_BYTES of records follow

#define FABRIC_SEGMENT_HEAD \
    uint64_t magic; \
    uint64_t used;               /* bytes handed out, from the start of the segment */ \
    uint32_t next_queue_pair; \
    uint32_t next_domain; \
    uint32_t names_lock;         /* of `named_domains` and `ports`: the thread that has it */ \
    uint32_t lid; \
    uint64_t guid;               /* of the node, network byte order */ \
    uint64_t events;             /* counts multicast changes */ \
    uint32_t link_layer;         /* IBV_LINK_LAYER_INFINIBAND 1, _ETHERNET 2 */ \
    uint32_t first_node;         /* of the first process, + 1 */ \
    uint32_t spans_nodes;        /* there are processes of others, too */ \
    uint32_t slots_used;         /* slots from this one on were never taken */ \
    uint64_t key[2];             /* what processes of the job prove to each other that they know */ \
    uint64_t unused_too[6];
struct fabric_segment_head { FABRIC_SEGMENT_HEAD };
struct fabric_segment {
    FABRIC_SEGMENT_HEAD
    struct fabric_member members[FABRIC_MEMBERS];
    struct fabric_named_domain named_domains[FABRIC_NAMED_DOMAINS];
    struct fabric_port ports[FABRIC_PORTS];
    struct fabric_slot slots[FABRIC_SLOTS];
    struct fabric_queue_pair queue_pairs[FABRIC_QUEUE_PAIRS];
};

// Offsets of arrays that Swift does not import, being too long.
enum {
    FABRIC_SLOTS_AT = offsetof(struct fabric_segment, slots),
    FABRIC_QUEUE_PAIRS_AT = offsetof(struct fabric_segment, queue_pairs),
};

#endif
