// Sockets shut down in one or both directions, with bytes unread, and one whose peer is closed: shutdown(2).
#include "conformance.h"

int main(void)
{
    int write_end[2], read_end[2], gone[2];
    char byte;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, write_end));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, read_end));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, gone));
    write_pattern(write_end[0], 2000, 1);
    must(shutdown(write_end[0], SHUT_WR));
    must(shutdown(read_end[0], SHUT_RD));
    write_pattern(gone[0], 300, 2);
    close(gone[0]);
    signal(SIGPIPE, SIG_IGN);
    ready_and_wait();
    read_pattern("after SHUT_WR of the peer", write_end[1], 2000, 1);
    check_equal("end of file", read(write_end[1], &byte, 1), 0);
    check(write(write_end[0], "x", 1) == -1 && errno == EPIPE, "writing after SHUT_WR");
    write_pattern(write_end[1], 100, 3);
    read_pattern("the other direction", write_end[0], 100, 3);
    check_equal("reading after SHUT_RD", read(read_end[0], &byte, 1), 0);
    check(write(read_end[1], "x", 1) == -1 && errno == EPIPE, "writing after SHUT_RD of the peer");
    write_pattern(read_end[0], 100, 4);
    read_pattern("still open direction", read_end[1], 100, 4);
    read_pattern("peer closed", gone[1], 300, 2);
    check_equal("end of file", read(gone[1], &byte, 1), 0);
    check(write(gone[1], "x", 1) == -1 && errno == EPIPE, "writing to the closed peer");
    pass();
}
