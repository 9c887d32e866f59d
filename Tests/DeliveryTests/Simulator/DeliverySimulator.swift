import Delivery
import TestSupport
import Wire

/// Drives senders and receivers through one seeded history in a world that kills, stops, replaces and rewires them, and
/// checks what must hold.
///
/// Each agent is a deterministic machine with a journal; its shell does one step at a time (`SimulatedProcess.Step`), and a
/// process can be killed or stopped between any two of them. Connections lose what is in them when an end dies, break on
/// their own, and may lead to a process that was replaced. At the end the faults stop, and everything must arrive.
final class DeliverySimulator {
    struct Edge {
        let source: Int
        /// Which of the source's outputs.
        let output: Int
        let target: Int
        let isFeedback: Bool
        let consumer: DurableSender.Consumer
        let consumerID: ConsumerID
        let outputPort: String
        var isWired = true
    }

    struct Node {
        var outputs = 0
        var turns = 0
        var epoch: UInt64 = 0
        var current: SimulatedProcess?
        var journal: SimulatedJournal
    }

    enum Fault: Equatable {
        case start(node: Int)
        case crash(node: Int)
        /// Stopped by a signal; a successor runs before it wakes.
        case stop(node: Int)
        case wake
        case losePower
        case breakConnection
        case rewire(edge: Int)
        case calm
        case check
    }

    let seed: UInt64
    let defect: Defect?
    var random: SplitMix64
    var now: Int64 = 1_000_000
    var limits = DeliveryLimits.standard
    var capacity = 4
    var edges: [Edge] = []
    var isFeedback: [Bool] = []
    var nodes: [Node] = []
    var processes: [SimulatedProcess] = []
    var faults: [(at: Int64, fault: Fault)] = []
    /// For each edge the beginning that its consumer was told, once it was.
    var floors: [UInt64?] = []
    var isCalm = false
    var calmUntil: Int64 = 0
    /// A power loss took records that were not on the disk: stopping with an error is right, going on wrongly is not.
    var mayFailClosed = false
    var hasFailedClosed = false
    var steps = 0
    var violation: String?
    var isTracing = false
    var trace: [String] = []
    private var isOver = false

    static let maxSteps = 200_000

    init(seed: UInt64, defect: Defect? = nil) {
        self.seed = seed
        self.defect = defect
        random = SplitMix64(seed: seed)
    }

    /// - Returns: what did not hold, or nil.
    func run() -> String? {
        configure()
        for node in nodes.indices { start(node) }
        planFaults()
        while violation == nil, !hasFailedClosed, !isOver {
            steps += 1
            if steps > Self.maxSteps { fail("no end after \(steps) steps") }
            let next = nextProcess()
            if let fault = faults.first, fault.at <= (next?.nextAt ?? .max) {
                now = max(now, fault.at)
                faults.removeFirst()
                carryOut(fault.fault)
            } else if let next, next.nextAt < .max {
                now = max(now, next.nextAt)
                step(next)
            } else {
                fail("nothing will ever happen again")
            }
        }
        if violation == nil, !hasFailedClosed { checkEnd() }
        return violation
    }

    func fail(_ what: String) {
        if violation == nil { violation = "at \(Double(now) / 1e3) µs, step \(steps): \(what)" }
    }

    func log(_ line: @autoclosure () -> String) {
        if isTracing { trace.append("\(Double(now) / 1e3) \(line())") }
    }

    private func nextProcess() -> SimulatedProcess? {
        var next: SimulatedProcess?
        for process in processes where process.life == .running {
            if process.nextAt < next?.nextAt ?? .max { next = process }
        }
        return next
    }

    // MARK: The world

    private func configure() {
        let count = 2 + random.below(3)
        let window = UInt64(1 + random.below(6))
        // In every second world, consumers that are not waited for are, some messages later.
        let reach = random.percent(50) ? 100_000 : window + UInt64(random.below(6))
        limits = DeliveryLimits(
            window: window, reach: reach, maxUnacked: 100_000, ackEvery: UInt64(1 + random.below(4)),
            patience: .milliseconds(5))
        capacity = 1 + random.below(6)
        let power = random.below(3)  // none, all, some
        for node in 0..<count {
            // Forward to a later agent; back to an earlier one.
            var forward = ((node + 1)..<max(node + 1, count)).filter { _ in random.percent(50) }
            if forward.isEmpty, node + 1 < count { forward = [node + 1] }
            var back = (0..<node).filter { _ in random.percent(35) }
            if back.isEmpty, node == count - 1 { back = [0] }
            var outputs = 0
            for (targets, isFeedback) in [(forward, false), (back, true)] where !targets.isEmpty {
                for target in targets { add(from: node, outputs, to: target, isFeedback) }
                outputs += 1
            }
            let isPower = power == 1 || (power == 2 && random.percent(50))
            nodes.append(Node(outputs: outputs, journal: SimulatedJournal(isPower: isPower, edges: 0, outputs: 0)))
        }
        for node in nodes.indices {
            nodes[node].journal = SimulatedJournal(
                isPower: nodes[node].journal.isPower, edges: edges.count, outputs: nodes[node].outputs)
            nodes[node].turns = node == 0 ? 1 + random.below(6) : random.below(3)
        }
        isFeedback = edges.map(\.isFeedback)
        floors = Array(repeating: nil, count: edges.count)
    }

    private func add(from source: Int, _ output: Int, to target: Int, _ isFeedback: Bool) {
        let port = "N\(target).in\(edges.count)"
        edges.append(
            Edge(
                source: source, output: output, target: target, isFeedback: isFeedback,
                consumer: .init(port: port, isFeedback: isFeedback), consumerID: ConsumerID(port: port),
                outputPort: "N\(source).out\(output)"))
    }

    private func planFaults() {
        let length = random.span(us: 500...8_000)
        func add(_ fault: Fault) { plan(fault, at: now + Int64(random.below(Int(length)))) }
        for _ in 0..<random.below(6) { add(.crash(node: random.below(nodes.count))) }
        for _ in 0..<random.below(3) { add(.stop(node: random.below(nodes.count))) }
        for _ in 0..<random.below(3) { add(.breakConnection) }
        if random.percent(20) { add(.losePower) }
        for _ in 0..<(random.percent(15) ? 1 + random.below(3) : 0) { add(.rewire(edge: random.below(edges.count))) }
        plan(.calm, at: now + length + random.span(us: 0...4_000))
    }

    func plan(_ fault: Fault, at: Int64) {
        let place = faults.firstIndex { $0.at > at } ?? faults.count
        faults.insert((at, fault), at: place)
    }

    private func carryOut(_ fault: Fault) {
        log("— \(fault)")
        switch fault {
        case .start(let node): if nodes[node].current == nil { start(node) }
        case .crash(let node): crash(node)
        case .stop(let node): stop(node)
        case .wake:
            for process in processes where process.life == .stopped {
                process.life = .running
                process.nextAt = now
            }
        case .losePower: losePower()
        case .breakConnection: breakConnection()
        case .rewire(let edge):
            edges[edge].isWired.toggle()
            if !edges[edge].isWired { floors[edge] = nil }
            for node in Set([edges[edge].source, edges[edge].target]).sorted() { crash(node) }
        case .calm:
            isCalm = true
            calmUntil = now + 2_000_000_000
            for process in processes where nodes[process.node].current !== process { kill(process) }
            plan(.check, at: now + 1_000_000)
        case .check:
            if isSettled() {
                isOver = true
            } else if now > calmUntil {
                fail("not everything has arrived: \(unsettled())")
            } else {
                plan(.check, at: now + 1_000_000)
            }
        }
    }

    private func start(_ node: Int) {
        nodes[node].epoch += 1
        let process = SimulatedProcess(node: node, epoch: nodes[node].epoch, wired: edges.map(\.isWired), at: now)
        nodes[node].current = process
        processes.append(process)
        log("N\(node) starts, incarnation \(process.epoch)")
    }

    private func crash(_ node: Int) {
        guard let process = nodes[node].current else { return }
        kill(process)
        // Often again while it recovers.
        if !isCalm, random.percent(30) { plan(.crash(node: node), at: now + random.span(us: 100...1_500)) }
    }

    private func stop(_ node: Int) {
        guard let process = nodes[node].current, process.life == .running else { return }
        process.life = .stopped
        nodes[node].current = nil
        let replacedAt = now + random.span(us: 20...2_000)
        plan(.start(node: node), at: replacedAt)
        plan(.wake, at: replacedAt + random.span(us: 0...3_000))
    }

    func kill(_ process: SimulatedProcess) {
        guard process.life != .dead else { return }
        log("N\(process.node).\(process.epoch) dies")
        process.life = .dead
        for pipe in process.incoming { pipe.isBroken = true }
        process.incoming = []
        for pipe in [process.outgoing.values, process.acks.values].joined().sorted(by: { $0.edge < $1.edge }) {
            pipe.lose(keeping: random.below(pipe.count + 1))
        }
        processes.removeAll { $0 === process }
        guard nodes[process.node].current === process else { return }
        nodes[process.node].current = nil
        plan(.start(node: process.node), at: now + random.span(us: 20...2_000))
    }

    private func losePower() {
        for process in processes { kill(process) }
        for node in nodes.indices {
            // What was not synced may have been written all the same, up to some record.
            let unsynced = nodes[node].journal.records.count - nodes[node].journal.synced
            nodes[node].journal.losePower(keeping: random.below(unsynced + 1))
            if !nodes[node].journal.isPower { mayFailClosed = true }
        }
    }

    private func breakConnection() {
        guard !processes.isEmpty else { return }
        let process = processes[random.below(processes.count)]
        guard !process.incoming.isEmpty else { return }
        let pipe = process.incoming[random.below(process.incoming.count)]
        pipe.lose(keeping: random.below(pipe.count + 1))
        pipe.isBroken = true
    }
}
