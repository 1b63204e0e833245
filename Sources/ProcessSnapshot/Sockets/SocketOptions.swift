// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// Options that a program may have set and that a new socket must get again (socket(7), tcp(7),
/// ip(7), ipv6(7)). Only those that differ from a fresh socket's are stored.
enum SocketOptions {
    static let solSocket = SOL_SOCKET
    static let sendBuffer: Int32 = 7, receiveBuffer: Int32 = 8
    static let sendBufferForce: Int32 = 32, receiveBufferForce: Int32 = 33
    static let bufferLock: Int32 = 72
    static let reuseAddress: Int32 = 2
    static let peekOffset: Int32 = 42

    private static let common: [Int32] = [
        reuseAddress, 5 /* DONTROUTE */, 6 /* BROADCAST */, 9 /* KEEPALIVE */, 10 /* OOBINLINE */,
        11 /* NO_CHECK */, 37 /* TIMESTAMPING */, 40 /* RXQ_OVFL */, 41 /* WIFI_STATUS */,
        44 /* LOCK_FILTER */,
        45 /* SELECT_ERR_QUEUE */, 47 /* MAX_PACING_RATE */, 69 /* PREFER_BUSY_POLL */,
        76 /* PASSPIDFD */,
        12 /* PRIORITY */, 13 /* LINGER */, 15 /* REUSEPORT */, 16 /* PASSCRED */,
        18 /* RCVLOWAT */, 20 /* RCVTIMEO */, 21 /* SNDTIMEO */, 29 /* TIMESTAMP */,
        34 /* PASSSEC */, 35 /* TIMESTAMPNS */, 36 /* MARK */, 46 /* BUSY_POLL */,
    ]
    private static let tcp: [Int32] = [
        1 /* NODELAY */, 3 /* CORK */, 4 /* KEEPIDLE */, 5 /* KEEPINTVL */, 6 /* KEEPCNT */,
        7 /* SYNCNT */, 8 /* LINGER2 */, 9 /* DEFER_ACCEPT */, 13 /* CONGESTION */,
        18 /* USER_TIMEOUT */, 25, /* NOTSENT_LOWAT */
    ]
    private static let ip: [Int32] = [
        1 /* TOS */, 2 /* TTL */, 8 /* PKTINFO */, 10 /* MTU_DISCOVER */, 11 /* RECVERR */,
        12 /* RECVTTL */, 15 /* FREEBIND */, 33 /* MULTICAST_TTL */, 34, /* MULTICAST_LOOP */
    ]
    private static let ipv6: [Int32] = [
        26 /* V6ONLY */, 49 /* RECVPKTINFO */, 16 /* UNICAST_HOPS */, 67 /* TCLASS */,
    ]

    static func levels(family: Int32, tcp isTCP: Bool) -> [(Int32, [Int32])] {
        var result = [(solSocket, common)]
        if isTCP { result.append((6, tcp)) }
        if family == AF_INET { result.append((0, ip)) }
        if family == AF_INET6 { result.append((41, ipv6)) }
        return result
    }

    static func capture(
        _ handle: Descriptor, family: Int32, type: Int32, tcp isTCP: Bool
    ) -> [ImageSocketOption] {
        let fresh = Descriptor(owning: socket(family, type | 0o2000000, 0))
        var result: [ImageSocketOption] = []
        for (level, names) in levels(family: family, tcp: isTCP) {
            for name in names {
                guard let value = handle.optionBytes(level, name, capacity: 64),
                    value != fresh.optionBytes(level, name, capacity: 64)
                else { continue }
                result.append(
                    .with {
                        $0.level = level; $0.name = name; $0.value = Data(value)
                    })
            }
        }
        for name in [sendBuffer, receiveBuffer, bufferLock] {
            if let value = handle.optionBytes(solSocket, name, capacity: 4) {
                result.append(
                    .with {
                        $0.level = solSocket; $0.name = name; $0.value = Data(value)
                    })
            }
        }
        return result
    }

    /// Sets what was captured. Buffers: the kernel doubles what it is told, and locks the size
    /// against its own tuning unless SO_BUF_LOCK says otherwise.
    static func restore(_ options: [ImageSocketOption], _ handle: Descriptor) {
        for option in options where option.level != solSocket || option.name != bufferLock {
            if option.level == solSocket, option.name == sendBuffer || option.name == receiveBuffer {
                let size = value(Int32.self, from: Array(option.value)) / 2
                let force = option.name == sendBuffer ? sendBufferForce : receiveBufferForce
                if (try? handle.setOption(solSocket, force, size)) == nil {
                    try? handle.setOption(solSocket, option.name, size)
                }
                continue
            }
            let bytes = Array(option.value)
            setsockopt(handle.number, option.level, option.name, bytes, socklen_t(bytes.count))
        }
        if let lock = options.first(where: { $0.level == solSocket && $0.name == bufferLock }) {
            let bytes = Array(lock.value)
            setsockopt(handle.number, solSocket, bufferLock, bytes, socklen_t(bytes.count))
        }
    }

    /// Room for everything that is about to be sent from the socket.
    static func makeRoomToSend(_ handle: Descriptor, bytes: Int) {
        guard bytes > 0 else { return }
        let size = Int32(clamping: bytes * 4 + (1 << 20))
        if (try? handle.setOption(solSocket, sendBufferForce, size)) == nil {
            try? handle.setOption(solSocket, sendBuffer, size)
        }
    }

    static func setReceiveBuffer(_ handle: Descriptor, like options: [ImageSocketOption]) {
        restore(options.filter { $0.level == solSocket && $0.name == receiveBuffer }, handle)
    }
}
