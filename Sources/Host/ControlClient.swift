import CLinux
import Foundation
import Wire

/// Who is at the other end of a control connection, by the kernel's word (SO_PEERCRED) when it connected.
struct ControlPeer: Codable, Equatable {
    var pid: Int32
    var uid: UInt32
}

/// One connection to the control socket. Writes never block: what the client does not take is kept up to a limit, and a
/// client beyond it is dropped. Belongs to the loop's thread.
final class ControlClient {
    /// Bytes waiting for a client that reads slowly: the largest answer and some lines more.
    static let maxOutboundBytes = 2 * Limits.maxControlLineBytes
    /// Bytes taken in one go, so that a flood leaves the others their turn.
    static let bytesPerTurn = 256 * 1024

    let id: UInt64
    let peer: ControlPeer
    let connectedAt = EventLoop.now()
    private let descriptor: Descriptor
    private let loop: EventLoop
    private var source: EventLoop.Source?
    private var decoder = LineDecoder(maxBytes: Limits.maxRequestLineBytes)
    private var outbound: [UInt8] = []
    private var outboundStart = 0
    private var isAtEnd = false
    /// Fell too far behind: gets what it has begun to read, the reason, and nothing more.
    private var isDropped = false
    private var interest = EventLoop.Readiness.readable
    /// Requests not answered yet.
    private(set) var pending = 0
    /// Follows logs or events, and is welcome to be silent.
    var isFollowing = false
    private let receive: (ControlClient, ControlRequest) -> Void
    private let closed: (ControlClient) -> Void

    var isOpen: Bool { source != nil }
    /// Nothing asked, nothing owed: may be sent away when others wait.
    var isIdle: Bool { isDropped || (pending == 0 && !isFollowing && outboundCount == 0) }
    private var outboundCount: Int { outbound.count - outboundStart }

    init(
        id: UInt64, peer: ControlPeer, descriptor: Descriptor, loop: EventLoop,
        receive: @escaping (ControlClient, ControlRequest) -> Void,
        closed: @escaping (ControlClient) -> Void
    ) throws {
        self.id = id
        self.peer = peer
        self.descriptor = descriptor
        self.loop = loop
        self.receive = receive
        self.closed = closed
        source = try loop.add(descriptor.raw, interest) { [weak self] in self?.ready($0) }
    }

    func answer(_ id: RequestID?, _ result: some Encodable) {
        answer(id) { ControlMessage.resultLine($0, result) }
    }

    func answer(_ id: RequestID?, _ result: StatusReport) {
        answer(id) { ControlMessage.resultLine($0, result) }
    }

    private func answer(_ id: RequestID?, _ line: (RequestID) -> [UInt8]) {
        pending = max(0, pending - 1)
        if let id { send(line(id)) }
        settle()
    }

    func refuse(_ id: RequestID?, _ error: ControlError) {
        pending = max(0, pending - 1)
        if let id { send(ControlMessage.errorLine(id, error)) }
        settle()
    }

    func notify(_ method: ControlProtocol.Notification, _ params: some Encodable) {
        send(ControlMessage.notificationLine(method, params))
        settle()
    }

    /// Ends the connection with its reason, as far as the client takes it at once.
    func dismiss(_ error: ControlError, answering id: RequestID? = nil) {
        send(ControlMessage.errorLine(id, error))
        close()
    }

    func close() {
        guard let source else { return }
        loop.remove(source)
        self.source = nil
        descriptor.close()
        outbound = []
        outboundStart = 0
        closed(self)
    }

    private func ready(_ readiness: EventLoop.Readiness) {
        if readiness.contains(.writable) { flush() }
        if isOpen, readiness.contains(.readable), !isAtEnd { read() }
        if isOpen, !readiness.isDisjoint(with: [.hangUp, .failed]) {
            // Nobody reads any more; a request may still have been read above, and is carried out.
            return close()
        }
        settle()
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        var taken = 0
        while taken < Self.bytesPerTurn, isOpen {
            let count = retryingInterrupts { recv(descriptor.raw, &buffer, buffer.count, Int32(MSG_DONTWAIT)) }
            if count == -1, errno == EAGAIN { return }
            if count <= 0 {
                isAtEnd = true
                return
            }
            taken += count
            for event in decoder.append(buffer[..<count]) where isOpen { take(event) }
        }
    }

    private func take(_ event: LineDecoder.Event) {
        pending += 1
        let request: Result<ControlRequest, ControlRefusal> =
            switch event {
            case .tooLong: .failure(.tooLong)
            case .line(let line): ControlRequest.parse(line)
            }
        switch request {
        case .success(let request) where pending > ControlProtocol.maxPendingRequests:
            let limit = ControlProtocol.maxPendingRequests
            refuse(
                request.id, ControlError(.tooBusy, "\(limit) requests are waiting already; read their answers first"))
        case .failure(let refusal):
            pending -= 1
            send(ControlMessage.errorLine(refusal))
        case .success(let request): receive(self, request)
        }
    }

    private func send(_ bytes: [UInt8]) {
        guard isOpen, !isDropped else { return }
        guard outboundCount + bytes.count <= Self.maxOutboundBytes else { return drop() }
        outbound.append(contentsOf: bytes)
        flush()
    }

    private func drop() {
        isDropped = true
        isAtEnd = true
        isFollowing = false
        pending = 0
        let unsent = outbound[outboundStart...]
        if let newline = unsent.firstIndex(of: 10) { outbound.removeSubrange((newline + 1)...) }
        let reason = "this client reads too slowly: \(Self.maxOutboundBytes) bytes are waiting for it; connect again"
        outbound.append(contentsOf: ControlMessage.errorLine(nil, ControlError(.tooBusy, reason)))
        flush()
    }

    private func flush() {
        while isOpen, outboundCount > 0 {
            let sent = retryingInterrupts {
                outbound.withUnsafeBytes {
                    Glibc.send(
                        descriptor.raw, $0.baseAddress! + outboundStart, outboundCount,
                        Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
                }
            }
            if sent == -1 {
                if errno != EAGAIN { close() }
                return
            }
            outboundStart += sent
            if outboundStart == outbound.count {
                outbound.removeAll(keepingCapacity: outbound.capacity <= 64 * 1024)
                outboundStart = 0
            }
        }
    }

    /// Waits for what can still come, or ends when nothing can.
    private func settle() {
        guard isOpen, let source else { return }
        if isAtEnd, pending <= 0, outboundCount == 0, !isFollowing { return close() }
        var wanted: EventLoop.Readiness = isAtEnd ? [] : .readable
        if outboundCount > 0 { wanted.insert(.writable) }
        guard wanted != interest else { return }
        interest = wanted
        try? loop.change(source, wanted)
    }
}
