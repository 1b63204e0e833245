// What the fuzzers have in common: taking an input apart, and verbs that must work.
#include <infiniband/verbs.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes { const uint8_t *next, *end; };

// What the input lacks is zero.
static inline void take(struct bytes *in, void *out, size_t count)
{
    size_t there = in->end - in->next < (ptrdiff_t)count ? (size_t)(in->end - in->next) : count;
    memset(out, 0, count);
    memcpy(out, in->next, there);
    in->next += there;
}

static inline uint8_t byte_of(struct bytes *in)
{
    uint8_t byte;
    take(in, &byte, 1);
    return byte;
}

#define must(call) ({ __typeof__(call) result = (call); if (!result) perror(#call), abort(); result; })
#define ok(call) ({ if ((call) != 0) perror(#call), abort(); })

// Every event that waits, acknowledged.
static inline void drain_events(struct ibv_context *context, struct ibv_async_event *event)
{
    static int isSet;
    if (!isSet) isSet = 1, fcntl(context->async_fd, F_SETFL, O_NONBLOCK);
    while (ibv_get_async_event(context, event) == 0) ibv_ack_async_event(event);
}

static struct ibv_context *engine_context;
static struct ibv_cq *engine_queue;

static inline void start_engine(void)
{
    struct ibv_device **devices = must(ibv_get_device_list(NULL));
    engine_context = must(ibv_open_device(devices[0]));
    engine_queue = must(ibv_create_cq(engine_context, 16, NULL, NULL, 0));
}

static inline void progress(void)
{
    struct ibv_wc done;
    while (ibv_poll_cq(engine_queue, 1, &done) > 0) {}
}
