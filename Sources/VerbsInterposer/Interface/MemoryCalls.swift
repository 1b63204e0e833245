// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Protection domains and memory regions: ibv_alloc_pd(3), ibv_alloc_td(3),
// ibv_alloc_parent_domain(3), ibv_reg_mr(3), ibv_rereg_mr(3).

@c(fermata_ibv_alloc_pd)
public func allocatePD(_ context: UnsafeMutablePointer<ibv_context>) -> UnsafeMutablePointer<ibv_pd>? {
    let domain = ProtectionDomain(context, Context.of(context).engine)
    return UnsafeMutableRawPointer(domain.handle).assumingMemoryBound(to: ibv_pd.self)
}

@c(fermata_ibv_dealloc_pd)
public func deallocatePD(_ pd: UnsafeMutablePointer<ibv_pd>) -> Int32 {
    if let parent = ParentDomain.of(pd) { return parent.destroy() }
    return ProtectionDomain.of(pd).destroy()
}

/// nil with errno set.
func allocateTD(
    _ context: UnsafeMutablePointer<ibv_context>, _ wanted: ibv_td_init_attr
) -> UnsafeMutablePointer<ibv_td>? {
    guard wanted.comp_mask == 0 else { return fail(EINVAL) }
    return UnsafeMutableRawPointer(ThreadDomain(context).handle).assumingMemoryBound(to: ibv_td.self)
}

/// nil with errno set. A provider calls the allocators for the kinds of memory that it shares with
/// its device; there is no such memory here, so they are accepted and never called.
func allocateParentDomain(
    _ context: UnsafeMutablePointer<ibv_context>, _ wanted: ibv_parent_domain_init_attr
) -> UnsafeMutablePointer<ibv_pd>? {
    let known =
        IBV_PARENT_DOMAIN_INIT_ATTR_ALLOCATORS.rawValue | IBV_PARENT_DOMAIN_INIT_ATTR_PD_CONTEXT.rawValue
    guard wanted.comp_mask & ~known == 0 else { return fail(EOPNOTSUPP) }
    guard let pd = wanted.pd, ParentDomain.of(pd) == nil else { return fail(EINVAL) }
    let made = Engine.locked {
        ParentDomain(ProtectionDomain.of(pd), wanted.td.map { ThreadDomain.of($0) })
    }
    return UnsafeMutableRawPointer(made.handle).assumingMemoryBound(to: ibv_pd.self)
}

private func register(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ start: UnsafeMutableRawPointer?, _ length: Int, base: UInt64,
    _ access: UInt32
) -> UnsafeMutablePointer<ibv_mr>? {
    let first = UInt64(UInt(bitPattern: start))
    let code = MemoryRegion.check(first, UInt64(UInt(bitPattern: length)), access)
    guard code == 0 else { return fail(code) }
    let domain = ProtectionDomain.of(pd)
    let engine = Context.of(pd.pointee.context).engine
    let zeroBased = access & IBV_ACCESS_ZERO_BASED.rawValue != 0
    let region = Engine.locked {
        MemoryRegion(
            engine, domain, start: first, length: UInt64(length), base: zeroBased ? 0 : base,
            access: access)
    }
    guard let region else { return fail(ENOMEM) }
    return UnsafeMutableRawPointer(region.handle).assumingMemoryBound(to: ibv_mr.self)
}

/// nil with errno set. It has a local key only: no remote access is allowed.
func allocateNullMR(_ pd: UnsafeMutablePointer<ibv_pd>) -> UnsafeMutablePointer<ibv_mr>? {
    let region = Engine.locked { () -> MemoryRegion? in
        guard NullMemory.isReady else { return nil }
        return MemoryRegion(
            Context.of(pd.pointee.context).engine, ProtectionDomain.of(pd), start: 0,
            length: UInt64(Int.max), base: 0, access: IBV_ACCESS_LOCAL_WRITE.rawValue, isNull: true)
    }
    guard let region else { return fail(ENOMEM) }
    return UnsafeMutableRawPointer(region.handle).assumingMemoryBound(to: ibv_mr.self)
}

@c(fermata_ibv_reg_mr)
public func registerMR(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ start: UnsafeMutableRawPointer?, _ length: Int,
    _ access: Int32
) -> UnsafeMutablePointer<ibv_mr>? {
    register(pd, start, length, base: UInt64(UInt(bitPattern: start)), UInt32(bitPattern: access))
}

@c(fermata_ibv_reg_mr_iova)
public func registerMRAt(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ start: UnsafeMutableRawPointer?, _ length: Int,
    _ base: UInt64,
    _ access: Int32
) -> UnsafeMutablePointer<ibv_mr>? {
    register(pd, start, length, base: base, UInt32(bitPattern: access))
}

@c(fermata_ibv_reg_mr_iova2)
public func registerMRAtWithOptions(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ start: UnsafeMutableRawPointer?, _ length: Int,
    _ base: UInt64,
    _ access: UInt32
) -> UnsafeMutablePointer<ibv_mr>? { register(pd, start, length, base: base, access) }

/// Memory of other devices is not offered.
@c(fermata_ibv_reg_dmabuf_mr)
public func registerDmabufMR(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ offset: UInt64, _ length: Int, _ base: UInt64,
    _ descriptor: Int32,
    _ access: Int32
) -> UnsafeMutablePointer<ibv_mr>? { fail(EOPNOTSUPP) }

/// 0, or which of enum ibv_rereg_mr_err_code.
@c(fermata_ibv_rereg_mr)
public func reregisterMR(
    _ mr: UnsafeMutablePointer<ibv_mr>, _ flags: Int32, _ pd: UnsafeMutablePointer<ibv_pd>?,
    _ start: UnsafeMutableRawPointer?, _ length: Int, _ access: Int32
) -> Int32 {
    let flags = UInt32(bitPattern: flags)
    let (place, rights, domain) = (
        flags & IBV_REREG_MR_CHANGE_TRANSLATION.rawValue != 0,
        flags & IBV_REREG_MR_CHANGE_ACCESS.rawValue != 0, flags & IBV_REREG_MR_CHANGE_PD.rawValue != 0
    )
    let region = MemoryRegion.of(mr)
    if region.isNull {
        errorNumber = EINVAL
        return IBV_REREG_MR_ERR_INPUT.rawValue
    }
    let known =
        IBV_REREG_MR_CHANGE_TRANSLATION.rawValue | IBV_REREG_MR_CHANGE_ACCESS.rawValue
        | IBV_REREG_MR_CHANGE_PD.rawValue
    guard flags != 0, flags & ~known == 0, !domain || pd != nil, !place || start != nil && length > 0
    else {
        errorNumber = EINVAL
        return IBV_REREG_MR_ERR_INPUT.rawValue
    }
    let first = place ? UInt64(UInt(bitPattern: start)) : region.start
    let code = MemoryRegion.check(
        first, place ? UInt64(UInt(bitPattern: length)) : region.length,
        rights ? UInt32(bitPattern: access) : region.access)
    guard code == 0 else {
        errorNumber = code
        return IBV_REREG_MR_ERR_CMD.rawValue
    }
    Engine.locked {
        region.change(
            domain: domain ? ProtectionDomain.of(pd!) : nil,
            place: place ? (first, UInt64(length)) : nil,
            access: rights ? UInt32(bitPattern: access) : nil)
    }
    return 0
}

@c(fermata_ibv_dereg_mr)
public func deregisterMR(_ mr: UnsafeMutablePointer<ibv_mr>) -> Int32 {
    let region = MemoryRegion.of(mr)
    let isFree = Engine.locked { () -> Bool in
        guard region.windows == 0 else { return false }
        region.destroy()
        return true
    }
    return isFree ? 0 : failure(EBUSY)
}
