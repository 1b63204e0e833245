// SPDX-License-Identifier: Apache-2.0
import CVerbs

// ibv_create_cq_ex(3): a completion queue whose entries are read field by field, out of our own form
// of them. Such a queue can be polled with ibv_poll_cq too.

private typealias Reader = UnsafeMutablePointer<ibv_cq_ex>?

/// What an application may ask to be able to read.
private let readable =
    UInt64(IBV_WC_STANDARD_FLAGS) | UInt64(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP.rawValue)
    | UInt64(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK.rawValue)

/// nil with errno set.
func createExtendedCQ(
    _ context: UnsafeMutablePointer<ibv_context>, _ wanted: UnsafeMutablePointer<ibv_cq_init_attr_ex>
) -> UnsafeMutablePointer<ibv_cq_ex>? {
    let attributes = wanted.pointee
    let withFlags = IBV_CQ_INIT_ATTR_MASK_FLAGS.rawValue
    let withDomain = IBV_CQ_INIT_ATTR_MASK_PD.rawValue
    let flags = attributes.comp_mask & withFlags != 0 ? attributes.flags : 0
    let alone = IBV_CREATE_CQ_ATTR_SINGLE_THREADED.rawValue
    let unchecked = IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN.rawValue
    guard attributes.comp_mask & ~(withFlags | withDomain) == 0, attributes.wc_flags & ~readable == 0,
        flags & ~(alone | unchecked) == 0
    else { return fail(EOPNOTSUPP) }
    let domain = attributes.comp_mask & withDomain != 0 ? attributes.parent_domain : nil
    guard attributes.cqe > 0, attributes.cqe <= UInt32(Device.maxCompletions),
        attributes.comp_vector < UInt32(Device.completionVectors),
        attributes.comp_mask & withDomain == 0 || domain != nil
    else { return fail(EINVAL) }
    let clocks =
        IBV_WC_EX_WITH_COMPLETION_TIMESTAMP.rawValue
        | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK.rawValue
    let queue = Engine.locked {
        CompletionQueue(
            context, entries: Int(attributes.cqe),
            channel: attributes.channel.map { CompletionChannel.of($0) },
            userContext: attributes.cq_context,
            timestamps: attributes.wc_flags & UInt64(clocks) != 0,
            ignoresOverrun: flags & unchecked != 0, domain: domain.map { ProtectionDomain.of($0) })
    }
    let extended = UnsafeMutableRawPointer(queue.handle).assumingMemoryBound(to: ibv_cq_ex.self)
    fillPolling(extended, isShared: flags & alone == 0)
    fillReaders(extended, attributes.wc_flags)
    return extended
}

/// Start, next and end. Threads that poll the same queue take turns, unless the application has
/// promised that there is one only.
private func fillPolling(_ cq: UnsafeMutablePointer<ibv_cq_ex>, isShared: Bool) {
    cq.pointee.next_poll = { cq in CompletionQueue.of(cq!).advance() ? 0 : ENOENT }
    if isShared {
        cq.pointee.start_poll = { cq, attributes in
            guard attributes!.pointee.comp_mask == 0 else { return EINVAL }
            let queue = CompletionQueue.of(cq!)
            pthread_mutex_lock(&queue.handle.pointee.reading)
            if queue.advanceOrProgress() { return 0 }
            // There is no ibv_end_poll after this.
            pthread_mutex_unlock(&queue.handle.pointee.reading)
            return ENOENT
        }
        cq.pointee.end_poll = { cq in
            pthread_mutex_unlock(&CompletionQueue.of(cq!).handle.pointee.reading)
        }
    } else {
        cq.pointee.start_poll = { cq, attributes in
            guard attributes!.pointee.comp_mask == 0 else { return EINVAL }
            return CompletionQueue.of(cq!).advanceOrProgress() ? 0 : ENOENT
        }
        cq.pointee.end_poll = { _ in }
    }
}

private func entry(_ cq: Reader) -> ibv_wc { CompletionQueue.of(cq!).polled.entry }

private func fillReaders(_ cq: UnsafeMutablePointer<ibv_cq_ex>, _ wanted: UInt64) {
    let has = { (flag: ibv_create_cq_wc_flags) in wanted & UInt64(flag.rawValue) != 0 }
    cq.pointee.read_opcode = { entry($0).opcode }
    cq.pointee.read_vendor_err = { entry($0).vendor_err }
    cq.pointee.read_wc_flags = { entry($0).wc_flags }
    if has(IBV_WC_EX_WITH_BYTE_LEN) { cq.pointee.read_byte_len = { entry($0).byte_len } }
    // Also the key that was invalidated: verbs.h reads it by this function.
    if has(IBV_WC_EX_WITH_IMM) { cq.pointee.read_imm_data = { entry($0).imm_data } }
    if has(IBV_WC_EX_WITH_QP_NUM) { cq.pointee.read_qp_num = { entry($0).qp_num } }
    if has(IBV_WC_EX_WITH_SRC_QP) { cq.pointee.read_src_qp = { entry($0).src_qp } }
    if has(IBV_WC_EX_WITH_SLID) { cq.pointee.read_slid = { UInt32(entry($0).slid) } }
    if has(IBV_WC_EX_WITH_SL) { cq.pointee.read_sl = { entry($0).sl } }
    if has(IBV_WC_EX_WITH_DLID_PATH_BITS) {
        cq.pointee.read_dlid_path_bits = { entry($0).dlid_path_bits }
    }
    if has(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP) {
        cq.pointee.read_completion_ts = { UInt64(CompletionQueue.of($0!).polled.nanoseconds) }
    }
    if has(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK) {
        // One clock is read per entry; how far it is from the other is known at any time.
        cq.pointee.read_completion_wallclock_ns = { cq in
            let age = fabric_now() - CompletionQueue.of(cq!).polled.nanoseconds
            return UInt64(fabric_wallclock() - age)
        }
    }
}

extension CompletionQueue {
    static func of(_ cq: UnsafeMutablePointer<ibv_cq_ex>) -> CompletionQueue {
        cq.withMemoryRebound(to: fermata_cq.self, capacity: 1) {
            object($0.pointee.object, CompletionQueue.self)
        }
    }

    /// Takes the next entry out, to be read. False when there is none. Not under the engine lock.
    fileprivate func advance() -> Bool {
        guard let completion = Engine.locked({ next() }) else { return false }
        show(completion)
        return true
    }

    fileprivate func advanceOrProgress() -> Bool {
        guard let completion = Engine.look(self, { next() }) else { return false }
        show(completion)
        return true
    }

    private func show(_ completion: Completion) {
        polled = completion
        handle.pointee.ex.wr_id = completion.entry.wr_id
        handle.pointee.ex.status = completion.entry.status
    }
}
