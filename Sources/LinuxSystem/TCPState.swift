// SPDX-License-Identifier: Apache-2.0

/// States of a TCP connection as TCP_INFO and sock_diag(7) number them (include/net/tcp_states.h).
public enum TCPState {
    public static let established: UInt32 = 1, synSent: UInt32 = 2, synReceived: UInt32 = 3
    public static let finWait1: UInt32 = 4, finWait2: UInt32 = 5, timeWait: UInt32 = 6
    public static let close: UInt32 = 7, closeWait: UInt32 = 8, lastAck: UInt32 = 9
    public static let listen: UInt32 = 10, closing: UInt32 = 11

    /// As sock_diag wants several of them.
    static func set(_ states: UInt32...) -> UInt32 { states.reduce(0) { $0 | 1 << $1 } }
}
