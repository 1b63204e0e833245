// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Devices, ports and asynchronous events: ibv_get_device_list(3), ibv_open_device(3),
// ibv_query_device(3), ibv_query_port(3), ibv_query_gid(3), ibv_get_async_event(3).

@c(fermata_ibv_get_device_list)
public func getDeviceList(
    _ count: UnsafeMutablePointer<Int32>?
) -> UnsafeMutablePointer<UnsafeMutablePointer<ibv_device>?>? {
    guard Engine.start() != nil else {
        count?.pointee = 0
        return nil
    }
    let list = calloc(2, MemoryLayout<UnsafeMutableRawPointer>.stride)!
        .assumingMemoryBound(to: UnsafeMutablePointer<ibv_device>?.self)
    list[0] = Device.pointer
    count?.pointee = 1
    return list
}

@c(fermata_ibv_free_device_list)
public func freeDeviceList(_ list: UnsafeMutablePointer<UnsafeMutablePointer<ibv_device>?>?) {
    free(list)
}

@c(fermata_ibv_get_device_name)
public func getDeviceName(_ device: UnsafeMutablePointer<ibv_device>) -> UnsafePointer<CChar> {
    UnsafePointer(
        (UnsafeMutableRawPointer(device) + Int(FERMATA_NAME_OFFSET)).assumingMemoryBound(to: CChar.self)
    )
}

@c(fermata_ibv_get_device_index)
public func getDeviceIndex(_ device: UnsafeMutablePointer<ibv_device>) -> Int32 { 0 }

@c(fermata_ibv_get_device_guid)
public func getDeviceGUID(_ device: UnsafeMutablePointer<ibv_device>) -> UInt64 {
    Engine.start()?.segment.header.pointee.guid ?? 0
}

@c(fermata_ibv_open_device)
public func openDevice(_ device: UnsafeMutablePointer<ibv_device>) -> UnsafeMutablePointer<ibv_context>?
{
    guard let engine = Engine.start() else { return nil }
    return Context(device, engine)?.pointer
}

@c(fermata_ibv_close_device)
public func closeDevice(_ context: UnsafeMutablePointer<ibv_context>) -> Int32 {
    Context.of(context).close()
    return 0
}

@c(fermata_ibv_get_async_event)
public func getAsyncEvent(
    _ context: UnsafeMutablePointer<ibv_context>, _ event: UnsafeMutablePointer<ibv_async_event>
) -> Int32 { Context.of(context).nextEvent(event) }

@c(fermata_ibv_ack_async_event)
public func acknowledgeAsyncEvent(_ event: UnsafeMutablePointer<ibv_async_event>) {
    switch event.pointee.event_type {
    case IBV_EVENT_CQ_ERR:
        let cq = event.pointee.element.cq!
        pthread_mutex_lock(&cq.pointee.mutex)
        cq.pointee.async_events_completed &+= 1
        pthread_cond_signal(&cq.pointee.cond)
        pthread_mutex_unlock(&cq.pointee.mutex)
    case IBV_EVENT_SRQ_ERR, IBV_EVENT_SRQ_LIMIT_REACHED:
        let srq = event.pointee.element.srq!
        pthread_mutex_lock(&srq.pointee.mutex)
        srq.pointee.events_completed &+= 1
        pthread_cond_signal(&srq.pointee.cond)
        pthread_mutex_unlock(&srq.pointee.mutex)
    case IBV_EVENT_QP_FATAL, IBV_EVENT_QP_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR, IBV_EVENT_COMM_EST,
        IBV_EVENT_SQ_DRAINED, IBV_EVENT_PATH_MIG, IBV_EVENT_PATH_MIG_ERR, IBV_EVENT_QP_LAST_WQE_REACHED:
        let qp = event.pointee.element.qp!
        pthread_mutex_lock(&qp.pointee.mutex)
        qp.pointee.events_completed &+= 1
        pthread_cond_signal(&qp.pointee.cond)
        pthread_mutex_unlock(&qp.pointee.mutex)
    default: break
    }
}

@c(fermata_ibv_query_device)
public func queryDevice(
    _ context: UnsafeMutablePointer<ibv_context>, _ attributes: UnsafeMutablePointer<ibv_device_attr>
) -> Int32 {
    attributes.pointee = Device.attributes(Context.of(context).engine.segment.header.pointee.guid)
    return 0
}

/// The entry for programs built before the structure grew: they have room for the part up to
/// link_layer. Newer ones come through the function table.
@c(fermata_ibv_query_port)
public func queryPort(
    _ context: UnsafeMutablePointer<ibv_context>, _ port: UInt8, _ attributes: UnsafeMutableRawPointer
) -> Int32 {
    guard port == 1 else { return failure(EINVAL) }
    var full = Device.port(Context.of(context).engine.segment)
    memcpy(attributes, &full, Int(FERMATA_OLD_PORT_BYTES))
    return 0
}

@c(fermata_ibv_query_gid)
public func queryGID(
    _ context: UnsafeMutablePointer<ibv_context>, _ port: UInt8, _ index: Int32,
    _ gid: UnsafeMutablePointer<ibv_gid>
) -> Int32 {
    guard port == 1, index == 0 else {
        errorNumber = EINVAL
        return -1
    }
    gid.pointee = Device.gid(Context.of(context).engine.segment.header.pointee.guid)
    return 0
}

/// `type`: enum ibv_gid_type_sysfs; 0 is InfiniBand (and RoCE v1, which sysfs calls the same), 1 RoCE v2.
@c(fermata_ibv_query_gid_type)
public func queryGIDType(
    _ context: UnsafeMutablePointer<ibv_context>, _ port: UInt8, _ index: UInt32,
    _ type: UnsafeMutablePointer<UInt32>
) -> Int32 {
    guard port == 1, index == 0 else {
        errorNumber = EINVAL
        return -1
    }
    type.pointee = Context.of(context).engine.segment.isEthernet ? 1 : 0
    return 0
}

private func gidEntry(_ context: UnsafeMutablePointer<ibv_context>) -> ibv_gid_entry {
    var entry = ibv_gid_entry()
    let segment = Context.of(context).engine.segment
    entry.gid = Device.gid(segment.header.pointee.guid)
    entry.port_num = 1
    entry.gid_type = segment.isEthernet ? IBV_GID_TYPE_ROCE_V2.rawValue : IBV_GID_TYPE_IB.rawValue
    let loopback: UInt32 = 1  // in every network namespace (LOOPBACK_IFINDEX, include/net/flow.h)
    entry.ndev_ifindex = segment.isEthernet ? loopback : 0
    return entry
}

@c(fermata__ibv_query_gid_ex)
public func queryGIDEntry(
    _ context: UnsafeMutablePointer<ibv_context>, _ port: UInt32, _ index: UInt32,
    _ entry: UnsafeMutablePointer<ibv_gid_entry>, _ flags: UInt32, _ size: Int
) -> Int32 {
    guard port == 1, index == 0, flags == 0 else { return failure(EINVAL) }
    var full = gidEntry(context)
    memcpy(entry, &full, min(size, MemoryLayout<ibv_gid_entry>.size))
    return 0
}

@c(fermata__ibv_query_gid_table)
public func queryGIDTable(
    _ context: UnsafeMutablePointer<ibv_context>, _ entries: UnsafeMutablePointer<ibv_gid_entry>,
    _ capacity: Int, _ flags: UInt32, _ size: Int
) -> Int {
    guard capacity >= 1, flags == 0 else { return Int(-EINVAL) }
    var full = gidEntry(context)
    memcpy(entries, &full, min(size, MemoryLayout<ibv_gid_entry>.size))
    return 1
}

@c(fermata_ibv_query_pkey)
public func queryPKey(
    _ context: UnsafeMutablePointer<ibv_context>, _ port: UInt8, _ index: Int32,
    _ key: UnsafeMutablePointer<UInt16>
) -> Int32 {
    guard port == 1, index == 0 else {
        errorNumber = EINVAL
        return -1
    }
    key.pointee = 0xffff
    return 0
}

@c(fermata_ibv_get_pkey_index)
public func getPKeyIndex(_ context: UnsafeMutablePointer<ibv_context>, _ port: UInt8, _ key: UInt16)
    -> Int32
{
    guard port == 1, key == 0xffff else {
        errorNumber = EINVAL
        return -1
    }
    return 0
}
