// SPDX-License-Identifier: Apache-2.0
import CFabric
import CoordinatorService
import Glibc
import LinuxSystem
import ProcessSnapshot

/// The memory that the verbs of a job's processes share, seen from outside: `Segment` of the
/// interposer, whose layout it has from the same header. Only reads, and only with read(2): a look at
/// a hole through a mapping would fill it. Any thread.
struct VerbsSegment {
    /// A size that never fills; only pages that are used exist.
    private static let bytes = Int(FABRIC_BYTES)
    private static let name = "fermata-verbs"

    let descriptor: Descriptor

    /// What a process of the job has mapped; nil when none uses verbs.
    static func mapped(in view: JobView) throws -> VerbsSegment? {
        for pid in view.processes() {
            let entries = (try? MappingEntry.list(pid)) ?? []
            guard let entry = entries.first(where: { $0.path.hasPrefix("/memfd:" + name) }) else { continue }
            let range = "\(String(entry.start, radix: 16))-\(String(entry.end, radix: 16))"
            return VerbsSegment(
                descriptor: try Descriptor.open("/proc/\(pid)/map_files/\(range)", O_RDWR))
        }
        return nil
    }

    static func fresh() throws -> VerbsSegment {
        let closeOnExec = 1  // MFD_CLOEXEC
        let fd = try name.withCString {
            try Kernel.call(
                .memfdCreate, Int(bitPattern: $0), closeOnExec, what: "make the verbs segment")
        }
        let segment = VerbsSegment(descriptor: Descriptor(owning: Int32(fd)))
        try Kernel.libc(Int(ftruncate(segment.descriptor.number, bytes)), "size the verbs segment")
        return segment
    }

    // MARK: what is in it

    /// What processes that live have in it; `processes`: as their own pid namespace numbers them. nil
    /// when no process has set it up, or one with another layout.
    func status(of processes: Set<Int32>) throws -> ControlVerbsStatus? {
        let header = try records(fabric_segment_head.self, at: 0, count: 1)[0]
        guard header.magic == UInt64(FABRIC_MAGIC) else { return nil }
        let pids = try self.pids().filter { processes.contains($0.value) }
        let pairs = try queuePairs(header).filter { pids[$0.entry.owner - 1] != nil }
        let owners = Dictionary(uniqueKeysWithValues: pairs.map { ($0.number, $0.entry.owner) })
        return .with {
            $0.device = "fermata0"
            $0.guid = header.guid.byteSwapped
            $0.lid = header.lid
            $0.queuePairs = pairs.filter { $0.entry.type != 0 }.map { pair in
                Self.describe(pair.number, pair.entry, pids, owners)
            }
        }
    }

    private static func describe(
        _ number: UInt32, _ entry: fabric_queue_pair, _ pids: [UInt32: Int32],
        _ owners: [UInt32: UInt32]
    ) -> ControlQueuePairStatus {
        .with {
            $0.pid = pids[entry.owner - 1] ?? 0
            $0.number = number
            $0.type = types[entry.type] ?? "\(entry.type)"
            $0.state = entry.state < states.count ? states[Int(entry.state)] : "\(entry.state)"
            $0.peer = entry.peer
            $0.peerPid = owners[entry.peer].flatMap { pids[$0 - 1] } ?? 0
            $0.posted = entry.posted
            $0.finished = entry.finished
            $0.executed = entry.executed
        }
    }

    // enum ibv_qp_type and enum ibv_qp_state of <infiniband/verbs.h>.
    private static let types: [UInt32: String] = [
        2: "RC", 3: "UC", 4: "UD", 8: "RAW", 9: "XRC_SEND", 10: "XRC_RECV",
    ]
    private static let states = ["RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR"]

    /// Process ids by slot.
    private func pids() throws -> [UInt32: Int32] {
        var result: [UInt32: Int32] = [:]
        let slotBytes = MemoryLayout<fabric_slot>.stride
        for slot in 0..<FABRIC_SLOTS {
            let pid = try records(UInt32.self, at: FABRIC_SLOTS_AT + slot * slotBytes, count: 1)[0]
            if pid != 0 { result[UInt32(slot)] = Int32(bitPattern: pid) }
        }
        return result
    }

    /// Entries that somebody owns, in the order of their numbers. Reads 4096 entries at a time.
    private func queuePairs(
        _ header: fabric_segment_head
    ) throws -> [(number: UInt32, entry: fabric_queue_pair)] {
        var result: [(UInt32, fabric_queue_pair)] = []
        // Numbers are given out in turn, from FABRIC_FIRST_NUMBER on.
        let all = UInt32(FABRIC_QUEUE_PAIRS)
        let used = min(all, header.next_queue_pair &+ UInt32(FABRIC_FIRST_NUMBER))
        let entryBytes = MemoryLayout<fabric_queue_pair>.stride
        for first in stride(from: 0, to: used, by: 4096) {
            let entries = try records(
                fabric_queue_pair.self, at: Int(FABRIC_QUEUE_PAIRS_AT) + Int(first) * entryBytes,
                count: Int(min(4096, used - first)))
            for (i, entry) in entries.enumerated() where entry.owner != 0 {
                result.append((first + UInt32(i), entry))
            }
        }
        return result
    }

    private func records<T: BitwiseCopyable>(_ type: T.Type, at offset: Int, count: Int) throws -> [T] {
        let bytes = count * MemoryLayout<T>.stride
        return try [T](unsafeUninitializedCapacity: count) { buffer, initialized in
            let n = pread(descriptor.number, UnsafeMutableRawPointer(buffer.baseAddress!), bytes, offset)
            try Kernel.libc(n == bytes ? n : -1, "read the verbs segment")
            initialized = count
        }
    }
}
