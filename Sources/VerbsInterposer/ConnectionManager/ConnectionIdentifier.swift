// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What the kernel has behind an rdma_cm_id: address, state of the connection, the other end
/// (rdma_cm(7); states and messages: IBTA 12.9). Under the engine lock.
final class ConnectionIdentifier {
    /// The other end: a process's slot, which of those that have had it, its id, and what tells that from
    /// a later one of that number.
    struct Peer {
        var slot: UInt32
        var life: UInt64
        var id: UInt32
        var cookie: UInt64 = 0
    }

    enum State {
        case idle, bound, addressResolved, routeResolved, listening
        /// REQ sent; REQ received; REP sent; REP received.
        case requested, received, replied, answered
        case established
        /// DREQ sent; DREQ received.
        case disconnecting, disconnected
        case over
    }

    let engine: Engine
    private(set) var number: UInt32 = 0
    var channel: EventChannel
    /// librdmacm's name for it; 0 until a received request is accepted.
    var context: UInt64
    let space: UInt16
    let queuePairType: ibv_qp_type
    var state = State.idle
    var local = Endpoint()
    var remote = Endpoint()
    private(set) var portEntry: UInt32?
    /// What waits for somebody to listen, and how long.
    private var request: fabric_connection?
    private var seekUntil: Int64 = 0
    var sharesPort = false
    private(set) var peer: Peer? {
        didSet { if oldValue == nil, peer != nil { engine.connections.connected += 1 } }
    }
    let cookie: UInt64
    let sequenceNumber: UInt32
    /// Events that the application has fetched.
    var eventsReported: UInt32 = 0
    var memberships: [Membership] = []

    // Of the connection.
    var remoteQueuePair: UInt32 = 0
    var remoteSequenceNumber: UInt32 = 0
    var responderResources: UInt8 = 0
    var initiatorDepth: UInt8 = 0
    /// RDMA_OPTION_ID_ACK_TIMEOUT.
    var timeout: UInt8 = 14
    var retryCount: UInt8 = 7
    var receiverNotReadyRetries: UInt8 = 7

    init(
        _ engine: Engine, _ channel: EventChannel, context: UInt64, space: UInt16, type: ibv_qp_type
    ) {
        self.engine = engine
        self.channel = channel
        self.context = context
        self.space = space
        queuePairType = type
        var random: (UInt64, UInt32) = (0, 0)
        _ = getrandom(&random, 12, 0)
        (cookie, sequenceNumber) = (random.0 | 1, random.1 & 0xffffff)
        number = engine.connections.add(self)
    }

    var isDatagram: Bool { queuePairType == IBV_QPT_UD }

    // MARK: addresses

    /// errno.
    func bind(_ endpoint: Endpoint) -> Int32 {
        guard state == .idle else { return EINVAL }
        guard endpoint.isAny || endpoint.isHere else { return EADDRNOTAVAIL }
        switch engine.segment.bindPort(
            endpoint.port, endpoint.address, space: space, shares: sharesPort, owner: engine.slot,
            id: number)
        {
        case .failed(let code): return code
        case .bound(let entry, let port):
            portEntry = entry
            local = endpoint
            local.port = port
            state = .bound
            return 0
        }
    }

    /// errno; the result is an event. Only addresses of this host, and of nodes that have processes of
    /// the job, lead anywhere.
    func resolve(from source: Endpoint?, to destination: Endpoint) -> Int32 {
        guard state == .bound || state == .idle else { return EINVAL }
        remote = destination
        if remote.isAny { remote.setLoopback() }
        guard var near = nearEnd(of: remote) else {
            raise(.addressError, status: -ENODEV)
            return 0
        }
        if state == .idle {
            near.port = source?.port ?? 0
            let code = bind(source.map { $0.isAny ? near : $0 } ?? near)
            guard code == 0 else { return code }
        }
        if local.isAny {
            near.port = local.port
            local = near
        }
        state = .addressResolved
        raise(.addressResolved)
        return 0
    }

    /// This side's address of a path to `remote`; nil: there is none.
    private func nearEnd(of remote: Endpoint) -> Endpoint? {
        if remote.isHere { return remote }
        return engine.segment.hasNode(at: remote) ? Node.ofThisProcess?.address : nil
    }

    func resolveRoute() -> Int32 {
        guard state == .addressResolved else { return EINVAL }
        state = .routeResolved
        raise(.routeResolved)
        return 0
    }

    func listen() -> Int32 {
        if state == .idle {
            let code = bind(Endpoint())
            guard code == 0 else { return code }
        }
        guard state == .bound, let portEntry else { return EINVAL }
        let code = engine.segment.listen(portEntry)
        if code == 0 { state = .listening }
        return code
    }

    // MARK: the connection, this side

    func connect(_ parameters: rdma_ucm_conn_param) -> Int32 {
        guard state == .routeResolved else { return EINVAL }
        guard Int(parameters.private_data_len) <= (isDatagram ? 180 : 56) else { return EINVAL }
        (responderResources, initiatorDepth) = (
            parameters.responder_resources, parameters.initiator_depth
        )
        (retryCount, receiverNotReadyRetries) = (
            parameters.retry_count, parameters.rnr_retry_count
        )
        var message = message(isDatagram ? FABRIC_SIDR_REQ : FABRIC_REQ, parameters)
        (message.from, message.to) = (local.mapped, remote.mapped)
        request = message
        state = .requested
        seekUntil = fabric_now() + Self.seekingTime
        engine.connections.seek(self, engine)
        return 0
    }

    /// On a network a request takes its time. Programs rely on it: they connect a second time when
    /// they know that the other side is about to listen.
    private static var seekingTime: Int64 { 200_000_000 }

    /// True when the request was sent, or nobody is going to listen.
    func findListener(_ now: Int64) -> Bool {
        guard state == .requested, let request else { return true }
        let listener = engine.segment.listener(
            remote.port, remote.address, space: space, asking: engine.slot)
        if let listener {
            peer = listener
            self.request = nil
            send(request)
            return true
        }
        guard now >= seekUntil else { return false }
        state = .over
        // "Invalid service ID" (IBTA 12.6.7.2); SIDR: "service ID not supported" (12.11.1.1).
        if isDatagram { raise(.unreachable, status: 1) } else { raise(.rejected, status: 8) }
        return true
    }

    /// A request is answered, or its answer confirmed.
    func accept(_ parameters: rdma_ucm_conn_param, context: UInt64) -> Int32 {
        if state == .answered, parameters.valid == 0 {
            state = .established
            send(message(FABRIC_RTU))
            return 0
        }
        guard state == .received, parameters.valid != 0 else { return EINVAL }
        guard Int(parameters.private_data_len) <= (isDatagram ? 136 : 196) else { return EINVAL }
        self.context = context
        if isDatagram {
            state = .established
            send(message(FABRIC_SIDR_REP, parameters))
        } else {
            (responderResources, initiatorDepth) = (
                parameters.responder_resources, parameters.initiator_depth
            )
            state = .replied
            send(message(FABRIC_REP, parameters))
        }
        return 0
    }

    func reject(_ wanted: rdma_ucm_reject) -> Int32 {
        guard state == .received || state == .answered, wanted.private_data_len <= 148 else {
            return EINVAL
        }
        var parameters = rdma_ucm_conn_param()
        parameters.private_data = wanted.private_data
        parameters.private_data_len = wanted.private_data_len
        var message = message(isDatagram ? FABRIC_SIDR_REP : FABRIC_REJ, parameters)
        // SIDR: "request rejected by service provider".
        message.status = isDatagram ? 2 : wanted.reason == 0 ? 28 : UInt32(wanted.reason)
        send(message)
        state = .over
        return 0
    }

    func disconnect() -> Int32 {
        switch state {
        case .established, .replied, .answered:
            guard !isDatagram else { return EINVAL }
            state = .disconnecting
            send(message(FABRIC_DREQ))
        case .disconnected:
            state = .over
            send(message(FABRIC_DREP))
        case .disconnecting, .over: break
        default: return EINVAL
        }
        return 0
    }

    /// The application has seen traffic before the confirmation came (rdma_notify(3)).
    func noticeTraffic() -> Int32 {
        if state == .replied { establish() }
        return 0
    }

    private func establish() {
        state = .established
        raise(.established)
    }

    // MARK: the connection, the other side

    func receive(_ message: fabric_connection, from sender: Peer, to wanted: UInt64) {
        switch fabric_message(message.message) {
        case FABRIC_REQ, FABRIC_SIDR_REQ:
            guard isListener(for: message) else { break }
            return takeRequest(message, sender)
        default: break
        }
        guard wanted == cookie, let peer, peer.slot == sender.slot else {
            return engine.answer(message, from: sender, toNobody: number)
        }
        if state == .requested { self.peer = sender }
        switch fabric_message(message.message) {
        case FABRIC_REP where state == .requested: takeReply(message)
        case FABRIC_SIDR_REP where state == .requested: takeDatagramReply(message)
        case FABRIC_RTU where state == .replied: establish()
        case FABRIC_REJ where [.requested, .received, .replied, .answered].contains(state):
            state = .over
            raise(.rejected, status: Int32(message.status)) {
                $0.conn = message.parameters
                $0.conn.private_data_len = 148
            }
        case FABRIC_DREQ where [.established, .replied, .answered].contains(state):
            state = .disconnected
            raise(.disconnected)
        case FABRIC_DREQ where state == .disconnecting:  // both at once
            state = .over
            raise(.disconnected)
        case FABRIC_DREP where state == .disconnecting:
            state = .over
            raise(.disconnected)
        default: break
        }
    }

    /// The one that was meant may be gone, and its number another's.
    private func isListener(for request: fabric_connection) -> Bool {
        state == .listening && request.space == UInt32(space)
            && UInt16(bigEndian: request.to.sin6_port) == local.port
    }

    /// A new id for a request, on the listener's channel.
    private func takeRequest(_ message: fabric_connection, _ sender: Peer) {
        let made = ConnectionIdentifier(engine, channel, context: 0, space: space, type: queuePairType)
        made.peer = sender
        made.timeout = timeout
        made.state = .received
        made.local = Endpoint(message.to) ?? Endpoint()
        made.remote = Endpoint(message.from) ?? Endpoint()
        (made.local.isIPv4, made.remote.isIPv4) = (made.local.isMapped, made.remote.isMapped)
        made.learn(message)
        var response = rdma_ucm_event_resp()
        response.id = made.number
        response.event = ConnectionEvent.Kind.connectRequest.rawValue
        if isDatagram {
            response.param.ud = datagramParameters(message, privateBytes: 180)
        } else {
            response.param.conn = mirrored(message.parameters, privateBytes: 56)
        }
        channel.add(ConnectionEvent(id: self, request: made, response: response))
    }

    private func takeReply(_ message: fabric_connection) {
        learn(message)
        (responderResources, initiatorDepth) = (
            message.parameters.initiator_depth, message.parameters.responder_resources
        )
        state = .answered
        raise(.connectResponse) {
            $0.conn = mirrored(message.parameters, privateBytes: 196)
        }
    }

    private func takeDatagramReply(_ message: fabric_connection) {
        guard message.status == 0 else {
            state = .over
            return raise(.unreachable, status: Int32(message.status)) {
                $0.ud = datagramParameters(message, privateBytes: 136)
            }
        }
        state = .established
        raise(.established) { $0.ud = datagramParameters(message, privateBytes: 136) }
    }

    private func learn(_ message: fabric_connection) {
        remoteQueuePair = message.parameters.qp_num
        remoteSequenceNumber = message.sequence_number
        receiverNotReadyRetries = message.parameters.rnr_retry_count
        if fabric_message(message.message) == FABRIC_REQ { retryCount = message.parameters.retry_count }
    }

    /// The other process is gone.
    func lostPeer() {
        switch state {
        case .requested: raise(.unreachable, status: -ETIMEDOUT)
        case .replied, .answered, .established, .disconnecting:
            if !isDatagram { raise(.disconnected) }
        case .received: raise(.connectError, status: -ETIMEDOUT)
        default: return
        }
        state = .over
    }

    // MARK: messages

    private func message(
        _ kind: fabric_message, _ parameters: rdma_ucm_conn_param = .init()
    ) -> fabric_connection {
        var message = fabric_connection()
        message.message = kind.rawValue
        message.sequence_number = sequenceNumber
        message.space = UInt32(space)
        message.parameters = parameters
        return message
    }

    private func send(_ message: fabric_connection) {
        if let peer { engine.connections.send(engine, message, to: peer, from: number, cookie) }
    }

    // MARK: events

    func raise(
        _ event: ConnectionEvent.Kind, status: Int32 = 0,
        _ fill: (inout rdma_ucm_event_resp.__Unnamed_union_param) -> Void = { _ in }
    ) {
        guard context != 0 else { return }  // as the kernel: nobody knows the id yet
        var response = rdma_ucm_event_resp()
        response.id = number
        response.event = event.rawValue
        response.status = UInt32(bitPattern: status)
        fill(&response.param)
        channel.add(ConnectionEvent(id: self, response: response))
    }

    // MARK: the end

    /// What the other end has to know, then everything that belongs to it.
    func destroy() {
        switch state {
        case .received:
            var last = message(isDatagram ? FABRIC_SIDR_REP : FABRIC_REJ)
            last.status = isDatagram ? 2 : 28
            send(last)
        case .replied, .answered, .established: if !isDatagram { send(message(FABRIC_DREQ)) }
        case .disconnected: send(message(FABRIC_DREP))
        default: break
        }
        if let portEntry { engine.segment.releasePort(portEntry) }
        request = nil
        for event in channel.remove(self) { event.request?.destroy() }
        state = .over
        for membership in memberships { engine.connections.removeMembership(membership.number) }
        if peer != nil { engine.connections.connected -= 1 }
        engine.connections.remove(number)
    }
}

extension Endpoint {
    /// The IPv6 form, whatever the family.
    var mapped: sockaddr_in6 {
        var other = self
        other.isIPv4 = false
        return other.raw
    }

    var isMapped: Bool {
        withUnsafeBytes(of: address) { bytes in
            for i in 0..<10 where bytes[i] != 0 { return false }
            return bytes[10] == 0xff && bytes[11] == 0xff
        }
    }
}
