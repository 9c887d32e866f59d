import Delivery
import FoundationEssentials
import Glibc
import Journal
import Wire
import ZeroMQ

/// What a shell has beside the usual when its agent is durable: the journal, the socket on which consumers acknowledge,
/// and what must be remembered of wires that are not there any more. Used by the shell's thread only.
final class DurableHalf<A: Agent> {
    /// An opened journal and what it gave back.
    struct Past {
        var recovered: Recovered<A>
        var writer: JournalWriter
        var support: DurableSupport<A>
        var isPower: Bool
        /// There was another journal once, and it is gone.
        var isBegunAnew: Bool
    }

    let journal: DurableJournal
    let support: DurableSupport<A>
    /// What the agent had decided on when it was killed: sent first of all.
    let pending: [(port: String, header: Header, frame: Frame)]
    /// Events that the recovery replayed.
    let replayed: UInt64
    /// The journal had something to begin from. Without it, a peer that knows of later incarnations may well be right.
    let hasPast: Bool
    /// Messages that will never reach a consumer, since it is not wired any more; one line for each such consumer.
    let forgotten: [String]
    /// Bytes of kept frames at which the agent is saturated.
    let keptBytesLimit: Int
    private var forgedFrames: UInt64 = 0
    private var acks: AnyReceiver?
    private var buffer = ReceiveBuffer(maximumBytes: DeliveryControl.maxFrameBytes)
    private(set) var acksToken: Poller.Token?
    /// Of outputs that are not there, or not durable, any more.
    private let otherOutputs: [OutputPosition]
    /// Where durable inputs stood with sources, wired or not.
    private(set) var sources: [SourceKey: DurableReceiver.State]

    /// Opens the journal of an agent with a durable port, which fences off its predecessor, and reads it; nil without
    /// such a port. Throws `AgentFailure` when the agent is not durable or its journal can't be gone on with.
    static func recover(
        _ environment: AgentEnvironment, _ support: DurableSupport<A>?, _ system: JournalSystem
    ) throws -> Past? {
        let ports = environment.wiring.ports.filter { $0.value.delivery == .durable }
        guard let port = ports.keys.min() else { return nil }
        guard let support else {
            throw AgentFailure(
                "port '\(port)' is durable, but the agent does not conform to DurableAgent: make it conform, or set the "
                    + "port's delivery to queue in agent.json")
        }
        guard let directory = environment.stateDirectory else {
            throw AgentFailure("port '\(port)' is durable, but there is no run directory (QP_RUN_DIR) for its journal")
        }
        let path = "\(directory)/\(JournalWriter.directoryName)"
        let isPower = ports.values.contains { $0.durability == .power }
        let writer: JournalWriter
        do {
            let options = JournalOptions(
                durability: isPower ? .power : .process, retention: .untilTrimmed,
                segmentBytes: environment.journalBytes.segment, maxTotalBytes: environment.journalBytes.total)
            writer = try JournalWriter(
                directory: path, identity: environment.name, epoch: environment.incarnation, options: options,
                system: system)
        } catch {
            throw AgentFailure(of: error)
        }
        linkProgram("\(directory)/\(Self.programName)")
        let recovered: Recovered<A>
        do {
            recovered = try support.recover(path, writer.recovery.lastSequence, environment)
        } catch {
            // To a replaced process its successor's records are what must not be there: it ends as replaced.
            do { try writer.confirm() } catch { throw AgentFailure("\(error)") }
            throw error
        }
        // What is before the last snapshot makes room for the opening one, which a journal at its limit else has not.
        if recovered.neededFrom > 0 { writer.trim(upTo: recovered.neededFrom - 1) }
        let isBegunAnew = recovered.restore == nil && BegunMark.exists(in: directory)
        if isBegunAnew {
            AgentLog.write(
                .warning, "\(path) is new, and there was another one: begun anew, without what the agent knew")
        }
        return Past(recovered: recovered, writer: writer, support: support, isPower: isPower, isBegunAnew: isBegunAnew)
    }

    /// Where `agentctl replay` finds the executable that this agent was started from.
    static var programName: String { "program" }

    private static func linkProgram(_ path: String) {
        var target = [CChar](repeating: 0, count: 4_096)
        guard readlink("/proc/self/exe", &target, target.count - 1) > 0 else { return }
        unlink(path)
        symlink(target, path)
    }

    /// Makes the wires' durable halves of what was recovered.
    init(
        _ past: Past, _ environment: AgentEnvironment, _ context: Context, _ inputs: [InputWire],
        _ outputs: [OutputWire], at now: Instant, startedUnixNs: Int64
    ) throws {
        support = past.support
        keptBytesLimit = DurableLimits.keptBytes(
            journal: environment.journalBytes.total, memory: environment.memoryLimit)
        pending = past.recovered.pending
        replayed = past.recovered.inputCount
        hasPast = past.recovered.restore != nil
        sources = past.recovered.sources
        journal = DurableJournal(
            writer: past.writer,
            context: ReplayContext(
                environment, inputs, outputs, startedAt: now, startedUnixNs: startedUnixNs),
            isPower: past.isPower, lastNow: max(past.recovered.lastNow, now),
            totalBytes: environment.journalBytes.total)
        let known = Dictionary(
            past.recovered.outputs.map { ($0.port, $0) }, uniquingKeysWith: { first, _ in first })
        let durable = Set(outputs.filter { environment.wiring.ports[$0.name]?.delivery == .durable }.map(\.name))
        otherOutputs = past.recovered.outputs.filter { $0.sender != nil && !durable.contains($0.port) }.map {
            // Its consumers are not wired any more: only the numbers are remembered.
            var position = $0
            position.firstFrame = position.sequence + 1
            position.frames = FrameRow()
            position.sender?.consumers = []
            return position
        }
        for output in outputs where durable.contains(output.name) {
            output.durable = try DurableOutput(
                port: "\(environment.name).\(output.name)", epoch: environment.incarnation, edges: output.edges,
                position: known[output.name], limits: environment.deliveryLimits, at: now)
        }
        forgotten = try ForgottenMessages.lines(past.recovered.outputs, outputs, agent: environment.name)
        if let listener = environment.wiring.acks {
            var options = SocketOptions()
            options.receiveHighWaterMark = Limits.queueHighWaterMark
            options.maximumMessageBytes = DeliveryControl.maxFrameBytes
            var socket = try Pull(context, options)
            try bind(&socket, to: listener)
            acks = AnyReceiver(socket)
        }
        try openSources(environment, context, inputs)
    }

    private func openSources(_ environment: AgentEnvironment, _ context: Context, _ inputs: [InputWire]) throws {
        var wires: [String: AckWire] = [:]
        for input in inputs {
            let me = "\(environment.name).\(input.name)"
            for (index, peer) in environment.wiring.ports[input.name]!.peers.enumerated() {
                let known = sources[SourceKey(port: input.name, output: OutputID(port: "\(peer.port)").value)]
                if input.isLink, let known {
                    input.sources[index].tracker.restore(incarnation: known.senderEpoch, sequence: known.applied)
                }
                guard let endpoint = peer.acks else { continue }
                let acks = try wires[endpoint] ?? AckWire(endpoint: endpoint, context: context)
                wires[endpoint] = acks
                let receiver = DurableReceiver(
                    source: "\(peer.port)", port: me, epoch: environment.incarnation, restored: known,
                    limits: environment.deliveryLimits)
                input.sources[index].durable = DurableSource(receiver: receiver, acks: acks)
                input.sources[index].stats[.isDurable] = 1
                input.sources[index].stats[.messages] = receiver.accepted
            }
        }
    }

    // MARK: Acknowledgements

    func watchAcks(_ poller: Poller) throws {
        guard acks != nil else { return }
        acksToken = try poller.add(acks!)
    }

    /// The next thing that a consumer says of itself; nil if there is none. What is no control frame is skipped, and told
    /// to `malformed`.
    func nextControl(orElse malformed: (String) -> Void) throws -> DeliveryControl? {
        while acks != nil, try fill(malformed) {
            do {
                return try buffer.withUnsafeBytes { try DeliveryControl(frame: $0) }
            } catch {
                malformed("\(error)")
            }
        }
        return nil
    }

    /// Something came that no other agent can have said. Logged the 1st, 2nd, 4th, 8th … time.
    func noteForged(_ what: String) {
        forgedFrames += 1
        guard forgedFrames & (forgedFrames - 1) == 0 else { return }
        AgentLog.write(
            .error, "forged or damaged: \(what) (\(forgedFrames) so far); see which processes reach the run directory")
    }

    private func fill(_ malformed: (String) -> Void) throws -> Bool {
        while true {
            do throws(ZeroMQError) {
                return try acks!.fill(&buffer)
            } catch {
                guard error.code == .multipart || error.code == .messageTooLarge else { throw error }
                malformed("\(error)")
            }
        }
    }

    // MARK: Snapshots

    func snapshot(
        of agent: A, timers: TimerQueue, turnNotBefore: Instant?, isOpening: Bool, inputs: [InputWire],
        outputs: [OutputWire]
    ) throws -> DurableSnapshot {
        for input in inputs {
            for source in input.sources {
                let key = SourceKey(port: input.name, output: source.output.value)
                if let durable = source.durable {
                    sources[key] = durable.receiver.state
                } else if input.isLink, source.tracker.incarnation > 0 {
                    sources[key] = DurableReceiver.State(
                        senderEpoch: source.tracker.incarnation, applied: source.tracker.sequence)
                }
            }
        }
        let positions = outputs.filter { $0.stream == nil }.map { output in
            output.durable?.position(port: output.name) ?? OutputPosition(port: output.name, sequence: output.sequence)
        }
        return DurableSnapshot(
            context: journal.context, isOpening: isOpening, state: try support.encode(agent),
            stateVersion: support.stateVersion,
            timers: timers.inOrder.map { .init(timer: $0.timer.number, at: $0.at.nanoseconds) },
            turnNotBefore: turnNotBefore?.nanoseconds, lastNow: journal.lastNow, outputs: positions + otherOutputs,
            sources: sources.map { SourcePosition(port: $0.key.port, output: $0.key.output, state: $0.value) })
    }
}

extension ReplayContext {
    fileprivate init(
        _ environment: AgentEnvironment, _ inputs: [InputWire], _ outputs: [OutputWire], startedAt: Instant,
        startedUnixNs: Int64
    ) {
        func peers(_ port: String) -> [String] {
            environment.wiring.ports[port]?.peers.map { "\($0.port)" } ?? []
        }
        self.init(
            name: environment.name, incarnation: environment.incarnation, startedAt: startedAt.nanoseconds,
            startedUnixNs: startedUnixNs, arguments: environment.arguments,
            settings: environment.all["QP_SETTINGS"] ?? "", folder: WorkingDirectory.path, build: BuildMark.current(),
            inputs: inputs.sorted { $0.port.index < $1.port.index }.map {
                Port(name: $0.name, type: $0.type.rawValue, peers: peers($0.name))
            },
            outputs: outputs.map {
                Port(name: $0.name, type: $0.type.rawValue, isJournaled: $0.stream == nil, peers: peers($0.name))
            })
    }
}
