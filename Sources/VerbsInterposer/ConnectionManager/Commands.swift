// SPDX-License-Identifier: Apache-2.0
import CVerbs

// What the commands of rdma/rdma_user_cm.h do. Each gives an errno.

extension ConnectionDevice.Request {
    /// GET_EVENT. Not under the engine lock: it waits.
    func nextEvent() -> Int32 {
        // Room for what there was before ABI 4 got the last two fields.
        let least = MemoryLayout<rdma_ucm_event_resp>.size - 12
        guard room >= least else { return ENOSPC }
        let (event, code) = channel.next()
        guard let event else { return code }
        return answer(event.response, at: load(rdma_ucm_get_event()).response, least: least)
    }

    /// Every other command. Under the engine lock.
    func carryOut(_ command: UInt32) -> Int32 {
        guard let engine = Engine.current else { return ENODEV }
        switch Int(command) {
        case Command.createID: return createID(engine)
        case Command.destroyID: return destroyID(engine)
        case Command.bindIP: return bindIP(engine)
        case Command.resolveIP: return resolveIP(engine)
        case Command.resolveRoute:
            return id(engine, load(rdma_ucm_resolve_route()).id)?.resolveRoute() ?? ENOENT
        case Command.queryRoute: return queryRoute(engine)
        case Command.connect:
            let wanted = load(rdma_ucm_connect())
            guard wanted.conn_param.valid != 0 else { return EINVAL }
            return id(engine, wanted.id)?.connect(wanted.conn_param) ?? ENOENT
        case Command.listen: return id(engine, load(rdma_ucm_listen()).id)?.listen() ?? ENOENT
        case Command.accept:
            let wanted = load(rdma_ucm_accept())
            return id(engine, wanted.id)?.accept(wanted.conn_param, context: wanted.uid) ?? ENOENT
        case Command.reject:
            let wanted = load(rdma_ucm_reject())
            return id(engine, wanted.id)?.reject(wanted) ?? ENOENT
        case Command.disconnect:
            return id(engine, load(rdma_ucm_disconnect()).id)?.disconnect() ?? ENOENT
        case Command.initializeQueuePair: return initializeQueuePair(engine)
        case Command.setOption: return setOption(engine)
        case Command.notify:
            return id(engine, load(rdma_ucm_notify()).id)?.noticeTraffic() ?? ENOENT
        case Command.joinIPMulticast: return joinIP(engine)
        case Command.joinMulticast: return join(engine)
        case Command.leaveMulticast: return leave(engine)
        case Command.migrateID: return migrateID(engine)
        // Addresses of the family AF_IB: librdmacm tries one at its start, and does without.
        default: return ENOSYS
        }
    }

    private enum Command {
        static let createID = 0, destroyID = 1, bindIP = 2, resolveIP = 3, resolveRoute = 4
        static let queryRoute = 5, connect = 6, listen = 7, accept = 8, reject = 9, disconnect = 10
        static let initializeQueuePair = 11, setOption = 14, notify = 15, joinIPMulticast = 16
        static let leaveMulticast = 17, migrateID = 18, joinMulticast = 22
    }

    private func id(_ engine: Engine, _ number: UInt32) -> ConnectionIdentifier? {
        engine.connections[number]
    }

    // MARK: ids

    private func createID(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_create_id())
        let type: ibv_qp_type
        switch UInt32(wanted.ps) {
        case RDMA_PS_TCP.rawValue: type = IBV_QPT_RC
        case RDMA_PS_UDP.rawValue, RDMA_PS_IPOIB.rawValue: type = IBV_QPT_UD
        case RDMA_PS_IB.rawValue: type = ibv_qp_type(UInt32(wanted.qp_type))
        default: return EPROTONOSUPPORT
        }
        let made = ConnectionIdentifier(
            engine, channel, context: wanted.uid, space: wanted.ps, type: type)
        let code = answer(rdma_ucm_create_id_resp(id: made.number), at: wanted.response)
        if code != 0 { made.destroy() }
        return code
    }

    private func destroyID(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_destroy_id())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        found.destroy()
        return answer(
            rdma_ucm_destroy_id_resp(events_reported: found.eventsReported), at: wanted.response)
    }

    private func migrateID(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_migrate_id())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        let events = found.channel.remove(found)
        found.channel = channel
        for event in events { channel.add(event) }
        return answer(
            rdma_ucm_migrate_resp(events_reported: found.eventsReported), at: wanted.response)
    }

    // MARK: addresses

    private func bindIP(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_bind_ip())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        guard let endpoint = Endpoint(wanted.addr) else { return EAFNOSUPPORT }
        return found.bind(endpoint)
    }

    private func resolveIP(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_resolve_ip())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        guard let destination = Endpoint(wanted.dst_addr) else { return EAFNOSUPPORT }
        return found.resolve(from: Endpoint(wanted.src_addr), to: destination)
    }

    private func queryRoute(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_query())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        var route = rdma_ucm_query_route_resp()
        route.src_addr = found.local.raw
        if found.remote.port != 0 || !found.remote.isAny { route.dst_addr = found.remote.raw }
        // An id that is bound to every address has no device yet.
        if !found.local.isAny {
            route.node_guid = engine.segment.header.pointee.guid
            route.port_num = 1
            route.ibdev_index = 0
            if found.hasRoute {
                route.num_paths = 1
                route.ib_route.0 = engine.segment.path
            }
        }
        return answer(route, at: wanted.response, least: MemoryLayout<rdma_ucm_query_route_resp>.size - 8)
    }

    private func setOption(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_set_option())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        let (level, name) = (Int(wanted.level), Int(wanted.optname))
        switch (level, name) {
        case (0, 0), (0, 2): return 0  // type of service; address family only
        case (0, 3):
            guard wanted.optlen == 1 else { return EINVAL }
            guard let value = fetch(UInt8(0), at: wanted.optval) else { return EFAULT }
            found.timeout = value & 31
            return 0
        case (0, 1):
            guard wanted.optlen == 4 else { return EINVAL }
            guard let value = fetch(Int32(0), at: wanted.optval) else { return EFAULT }
            found.sharesPort = value != 0
            return 0
        case (1, 1):  // the route, given instead of asked for
            return found.resolveRoute()
        default: return ENOSYS
        }
    }

    // MARK: queue pairs

    private func initializeQueuePair(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_init_qp_attr())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        guard let attributes = found.attributes(for: ibv_qp_state(wanted.qp_state)) else {
            return EINVAL
        }
        return answer(attributes, at: wanted.response)
    }

    // MARK: multicast

    private func joinIP(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_join_ip_mcast())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        guard let group = Endpoint(wanted.addr) else { return EAFNOSUPPORT }
        return join(engine, found, group, wanted.uid, wanted.response)
    }

    private func join(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_join_mcast())
        guard let found = id(engine, wanted.id) else { return ENOENT }
        let raw = withUnsafeBytes(of: wanted.addr) { $0.loadUnaligned(as: sockaddr_in6.self) }
        guard let group = Endpoint(raw) else { return EAFNOSUPPORT }
        return join(engine, found, group, wanted.uid, wanted.response)
    }

    private func join(
        _ engine: Engine, _ id: ConnectionIdentifier, _ group: Endpoint, _ context: UInt64,
        _ response: UInt64
    ) -> Int32 {
        guard id.isDatagram, !id.local.isAny else { return EINVAL }
        let made = engine.connections.addMembership { Membership(id, number: $0, context: context) }
        let code = answer(rdma_ucm_create_id_resp(id: made.number), at: response)
        guard code == 0 else {
            engine.connections.removeMembership(made.number)
            return code
        }
        id.memberships.append(made)
        id.tellJoined(made, group)
        return 0
    }

    private func leave(_ engine: Engine) -> Int32 {
        let wanted = load(rdma_ucm_destroy_id())
        guard let found = engine.connections.membership(wanted.id) else { return ENOENT }
        found.leave()
        engine.connections.removeMembership(wanted.id)
        return answer(
            rdma_ucm_destroy_id_resp(events_reported: found.eventsReported), at: wanted.response)
    }
}
