// libFuzzer: commands as a program could write them into /dev/infiniband/rdma_cm. Where a command has an address
// for its answer, one that may be written is put there: a wild one kills its writer, as it would any program.
#include "fuzz.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <rdma/rdma_user_cm.h>
#include <unistd.h>

static char answer[4096];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = { data, data + size };
    int channels[2];
    for (int i = 0; i < 2; i++)
        if ((channels[i] = open("/dev/infiniband/rdma_cm", O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) abort();
    uint32_t ids[8] = { 0 };
    int made = 0;
    while (in.next < in.end) {
        uint8_t right = byte_of(&in), which = byte_of(&in);
        struct { struct rdma_ucm_cmd_hdr header; uint8_t body[600]; } command = { 0 };
        command.header.cmd = byte_of(&in) % 25;
        size_t count = byte_of(&in) * 2;
        take(&in, command.body, count);
        command.header.in = count, command.header.out = right & 1 ? sizeof answer : byte_of(&in);
        uint64_t address = (uintptr_t)answer;
        size_t length = sizeof command.header + count;
        switch (command.header.cmd) {
        case RDMA_USER_CM_CMD_CREATE_ID:
            // uid, response
            memcpy(command.body + 8, &address, 8);
            break;
        case RDMA_USER_CM_CMD_SET_OPTION: {
            struct rdma_ucm_set_option *option = (void *)command.body;
            option->optval = address;
            if (right & 2) option->id = ids[which % 8];
            break;
        }
        case RDMA_USER_CM_CMD_JOIN_IP_MCAST:
        case RDMA_USER_CM_CMD_JOIN_MCAST:
        case RDMA_USER_CM_CMD_DESTROY_ID:
        case RDMA_USER_CM_CMD_LEAVE_MCAST:
        case RDMA_USER_CM_CMD_QUERY_ROUTE:
        case RDMA_USER_CM_CMD_INIT_QP_ATTR:
        case RDMA_USER_CM_CMD_GET_EVENT:
        case RDMA_USER_CM_CMD_MIGRATE_ID:
        case RDMA_USER_CM_CMD_QUERY:
            memcpy(command.body, &address, 8);
            if (right & 2) memcpy(command.body + 8, &ids[which % 8], 4);
            if (right & 4) memcpy(command.body + 16, &ids[which % 8], 4);
            break;
        default:
            if (right & 2) memcpy(command.body, &ids[which % 8], 4);
            if (right & 4) memcpy(command.body + 8, &ids[which % 8], 4);
            if (right & 8) memcpy(command.body + count / 2, &ids[which % 8], 4);
        }
        // Addresses of this host, so that something comes of them.
        if (right & 16)
            for (size_t i = 0; i + sizeof(struct sockaddr_in) <= count; i += 4)
                if (command.body[i] == 2 && !command.body[i + 1])
                    ((struct sockaddr_in *)(command.body + i))->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        // The kernel reads as many bytes as it is told: so many there are.
        uint8_t *exact = malloc(length);
        memcpy(exact, &command, length);
        ssize_t written = write(channels[which & 1], exact, right & 128 ? length : length - which % (length + 1));
        free(exact);
        if (written > 0 && command.header.cmd == RDMA_USER_CM_CMD_CREATE_ID) memcpy(&ids[made++ % 8], answer, 4);
        if (written > 0 && command.header.cmd == RDMA_USER_CM_CMD_GET_EVENT) {
            // A connection request brings an id of its own.
            struct rdma_ucm_event_resp *event = (void *)answer;
            if (event->event == 4) ids[made++ % 8] = event->id;
        }
        if (which % 16 == 0) {
            struct rdma_ucm_cmd_hdr *header = &command.header;
            (void)header;
            progress();
        }
    }
    close(channels[0]), close(channels[1]);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    start_engine();
    return 0;
}
