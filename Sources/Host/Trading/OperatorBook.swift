import Wire

/// The operators' commands that agents have not applied yet, and where each agent stands. Pure: what happens goes in,
/// also when it is read back from the record, and what is to be sent comes out.
///
/// Positions have an epoch of its own for each supervisor process, above all that were ever used: what a predecessor sent
/// and could not write down can never be taken for a command of this one.
struct OperatorBook: Equatable {
    /// Commands to one agent that wait. One that allows more is refused earlier, so that a halt always finds room.
    static let maxWaiting = Limits.maxUnappliedCommands / 2
    static let maxWaitingLoose = 16
    /// A command that may allow more is not delivered later than this after it was given, when a supervisor finds it.
    static let loosenValidity = Nanoseconds.seconds(60)

    struct Line: Equatable {
        var last = LinkPosition.none
        var applied = LinkPosition.none
        var waiting: [OperatorCommand] = []
        var news: TradingNews?
        /// The agent that is connected now has told it.
        var isNewsCurrent = false
    }

    private(set) var lines: [String: Line] = [:]
    /// Of this process; 0 until it is needed.
    private(set) var epoch: UInt64 = 0
    private var highestEpoch: UInt64 = 0

    init() {}

    subscript(agent: String) -> Line { lines[agent] ?? Line() }

    var isEmpty: Bool { lines.isEmpty }

    func isWaiting(_ id: String, for agent: String) -> Bool { self[agent].waiting.contains { $0.id == id } }

    // MARK: From the record

    /// What the record says, in its order. A repeated entry changes nothing.
    mutating func replay(_ entry: OperatorEntry) {
        switch entry.kind {
        case .command:
            guard let command = entry.command else { return }
            highestEpoch = max(highestEpoch, command.epoch)
            var line = self[command.agent]
            if command.position > line.last {
                line.last = command.position
                line.waiting.removeAll { $0.id == command.id }
                if command.position > line.applied { line.waiting.append(command) }
            }
            lines[command.agent] = line
        case .applied:
            guard let agent = entry.agent, let position = entry.position else { return }
            highestEpoch = max(highestEpoch, position.epoch)
            _ = note(applied: position, by: agent)
        case .withdrawn:
            guard let command = entry.command else { return }
            lines[command.agent]?.waiting.removeAll { $0.id == command.id }
        case .state:
            guard let agent = entry.agent, let news = entry.news else { return }
            lines[agent, default: Line()].news = news
        case .confirmed: break
        }
    }

    /// What has to stay known when older entries go.
    func carried(at unixNs: Int64) -> [OperatorEntry] {
        lines.sorted { $0.key < $1.key }.flatMap { agent, line in
            (line.applied > .none ? [OperatorEntry.applied(agent, line.applied, at: unixNs)] : [])
                + line.waiting.map { .command($0) }
                + (line.news.map { [OperatorEntry.state(agent, $0, at: $0.sinceUnixNs)] } ?? [])
        }.map { entry in
            var entry = entry
            entry.isCarried = true
            return entry
        }
    }

    /// Drops what a predecessor was told and is too old to let trade now. Answers what that was.
    mutating func lapse(at unixNs: Int64) -> [OperatorCommand] {
        var lapsed: [OperatorCommand] = []
        for agent in lines.keys.sorted() {
            lines[agent]?.waiting.removeAll { command in
                let isLoose = command.tradingState == .active || command.tradingState == .reducing
                guard isLoose, unixNs - command.atUnixNs > Self.loosenValidity.count else { return false }
                lapsed.append(command)
                return true
            }
        }
        return lapsed
    }

    // MARK: Commands

    /// Why a command can't be taken.
    enum Refusal: Error, Equatable {
        /// So many wait already.
        case full(Int)
        /// The last one that waits commands the same.
        case waitsAlready(OperatorCommand)
    }

    /// Numbers an order for one agent.
    mutating func issue(
        _ order: TradingOrder, to agent: String, id: String, by peer: ControlPeer, at unixNs: Int64
    ) throws(Refusal) -> OperatorCommand {
        var line = self[agent]
        if line.waiting.count >= (order.mayLoosen ? Self.maxWaitingLoose : Self.maxWaiting) {
            if !order.mayLoosen, let last = line.waiting.last, last.tradingState == order.state {
                throw .waitsAlready(last)
            }
            throw .full(line.waiting.count)
        }
        let command = OperatorCommand(
            id: id, agent: agent, epoch: 0, sequence: 0, state: order.state.word ?? "HALTED", reason: order.reason,
            by: order.by, uid: peer.uid, pid: peer.pid, atUnixNs: unixNs)
        line.waiting.append(number(command, &line, at: unixNs))
        lines[agent] = line
        return line.waiting[line.waiting.count - 1]
    }

    private mutating func number(_ command: OperatorCommand, _ line: inout Line, at unixNs: Int64) -> OperatorCommand {
        if epoch == 0 || epoch < highestEpoch {
            // An agent's word can be any number: at the end of them there is no higher one.
            epoch = max(highestEpoch == .max ? .max : highestEpoch + 1, UInt64(clamping: unixNs))
            highestEpoch = epoch
        }
        var numbered = command
        numbered.position = LinkPosition(
            epoch: epoch, sequence: line.last.epoch == epoch ? line.last.sequence &+ 1 : 1)
        line.last = numbered.position
        return numbered
    }

    /// It was never sent and is not to be. Its number stays used.
    mutating func withdraw(_ command: OperatorCommand) {
        lines[command.agent]?.waiting.removeAll { $0.id == command.id }
    }

    /// Gives everything that waits for the agent new numbers, above all that were used and above `position`.
    mutating func renumber(
        _ agent: String, above position: LinkPosition, at unixNs: Int64
    ) -> [OperatorCommand] {
        guard var line = lines[agent], !line.waiting.isEmpty else { return [] }
        highestEpoch = max(highestEpoch, epoch, position.epoch)
        epoch = 0
        line.waiting = line.waiting.map { number($0, &line, at: unixNs) }
        lines[agent] = line
        return line.waiting
    }

    // MARK: From the agents

    /// Answers the commands that have become applied by it.
    mutating func note(applied position: LinkPosition, by agent: String) -> [OperatorCommand] {
        var line = self[agent]
        guard position > line.applied else { return [] }
        highestEpoch = max(highestEpoch, position.epoch)
        line.applied = position
        line.last = max(line.last, position)
        let done = line.waiting.filter { $0.position <= position }
        line.waiting.removeAll { $0.position <= position }
        lines[agent] = line
        return done
    }

    /// The agent has connected and says what it has applied. Answers what became applied, and what of this process must go
    /// again under new numbers: the agent has seen later ones than this record knows, and would take ours for old.
    mutating func note(
        joined agent: String, applied position: LinkPosition, at unixNs: Int64
    ) -> (applied: [OperatorCommand], again: [OperatorCommand]) {
        guard lines[agent] != nil || position > .none else { return ([], []) }
        var line = self[agent]
        line.isNewsCurrent = false
        defer { lines[agent]?.isNewsCurrent = false }
        let isStrange = position > line.last
        highestEpoch = max(highestEpoch, position.epoch)
        guard isStrange else {
            lines[agent] = line
            return (note(applied: position, by: agent), [])
        }
        let doubtful = line.waiting.filter { $0.epoch == epoch && $0.position <= position }
        line.waiting.removeAll { command in doubtful.contains { $0.id == command.id } }
        lines[agent] = line
        let done = note(applied: position, by: agent)
        lines[agent]?.waiting.insert(contentsOf: doubtful, at: 0)
        return (done, doubtful.isEmpty ? [] : renumber(agent, above: position, at: unixNs))
    }

    /// True when it is news.
    mutating func note(_ news: TradingNews, from agent: String) -> Bool {
        var line = self[agent]
        line.isNewsCurrent = true
        let isNew = !news.isSame(as: line.news)
        if isNew { line.news = news }
        lines[agent] = line
        return isNew
    }

    /// What the agent said holds until it says otherwise, and that it will when it is back.
    mutating func note(ended agent: String) {
        lines[agent]?.isNewsCurrent = false
    }
}
