import Foundation
import Wire

/// Carries operators' trading states to the agents that hold them, and answers when they hold everywhere. The shell around
/// `OperatorBook` and `TradingWait`. Belongs to the loop's thread.
///
/// A command is on record before it is sent. One that may allow more fails closed: what cannot be recorded or delivered
/// is refused. One that forbids goes out whatever else fails.
final class TradingDesk {
    /// What the desk asks of its supervisor.
    struct Surroundings {
        /// Agents that hold a trading state and take commands.
        var gates: () -> [String]
        /// Who hears an agent's announcements, from its counters; nil while it keeps none.
        var consumers: (_ gate: String) -> [TradingWait.Consumer]?
        /// "RiskSentinel (backoff)".
        var describe: (_ agent: String) -> String
        /// Something for the event log and the console.
        var tell: (_ message: String) -> Void
        /// Last resort: nothing trades without this agent.
        var stop: (_ gate: String) -> Void
    }

    typealias Answer = (Result<TradingReport, ControlError>) -> Void

    /// Between looks at the counters while somebody waits: a quarter of what has passed, within these bounds. Nobody tells
    /// the supervisor what a consumer has acknowledged, and it takes a millisecond mostly.
    static let lookMs: ClosedRange<Int64> = 1...50
    /// Entries that could not be written and are kept for a better time.
    static let maxUnwritten = 256

    struct Request {
        var order: TradingOrder
        var wait: TradingWait
        var commands: [OperatorCommand]
        let begunAt: Instant
        let deadline: Instant
        var warning: String?
        let answer: Answer
    }

    private let journal: OperatorJournal
    private let link: LinkServer
    private let loop: EventLoop
    let surroundings: Surroundings
    private(set) var book = OperatorBook()
    private var requests: [Request] = []
    private var timer: EventLoop.Timer?
    private var unwritten: [OperatorEntry] = []
    private var orders = 0

    init(journal: OperatorJournal, link: LinkServer, loop: EventLoop, surroundings: Surroundings) {
        self.journal = journal
        self.link = link
        self.loop = loop
        self.surroundings = surroundings
        link.joined = { [unowned self] in joined($0, $1) }
        link.applied = { [unowned self] in applied($0, $1) }
        link.announced = { [unowned self] in announced($0, $1) }
    }

    static func unixNs() -> Int64 { Timestamp.now().microseconds * 1_000 }

    // MARK: - Life

    /// Takes over what a predecessor has left: what is not known as applied is sent again, at the same positions.
    func begin() {
        do {
            try journal.read { book.replay($0) }
        } catch {
            // A halt that was read is sent again, at worst in vain; what would let trade may have been taken back since.
            _ = book.lapse(at: .max)
            surroundings.tell(
                "the record of operators' commands can't be read to its end: \(error). Look at the trading state with "
                    + "`agentctl status`; resume is refused until the record is repaired or moved away")
        }
        for command in book.lapse(at: Self.unixNs()) {
            surroundings.tell(
                "\(command.state) by \(command.issuer) was never applied by \(command.agent) and is too old by now; command it "
                    + "again")
            note(.withdrawn(command, "too old when a supervisor was there again", at: Self.unixNs()))
        }
        for (agent, line) in book.lines {
            for command in line.waiting {
                do { try link.send(command.command, to: agent, at: command.position) } catch { resend(agent) }
            }
        }
    }

    /// The supervisor ends: whoever waits is told where things stand.
    func close(_ why: String) {
        if let timer { loop.cancel(timer) }
        timer = nil
        for request in requests { giveUp(request, why) }
        requests = []
        journal.close()
    }

    // MARK: - Orders

    /// Carries out a checked order. `answer` comes once, at the latest when the order's wait is over.
    func carryOut(_ order: TradingOrder, by peer: ControlPeer, _ answer: @escaping Answer) {
        let order = order.withoutPaperwork
        if let problem = order.problem { return answer(.failure(ControlError(.invalidParams, problem))) }
        let gates = surroundings.gates()
        guard !gates.isEmpty else {
            return answer(.failure(ControlError(.refused, Self.nobody)))
        }
        do throws(ControlError) {
            let (commands, warning) =
                order.mayLoosen ? try loosen(order, gates, peer) : try tighten(order, gates, peer)
            let who = (order.by.map { "\($0), " } ?? "") + "uid \(peer.uid), pid \(peer.pid)"
            surroundings.tell("\(order.state.word ?? "HALTED") commanded by \(who): \(order.reason)")
            let now = EventLoop.now()
            requests.append(
                Request(
                    order: order, wait: TradingWait(order.state, commands), commands: commands, begunAt: now,
                    deadline: now + .fractionalSeconds(order.waitSeconds), warning: warning, answer: answer))
            look()
        } catch {
            answer(.failure(error))
        }
    }

    private static let nobody =
        "no agent of role risk takes the operator's commands, so nothing has changed: declare \"operator\": { \"type\": "
        + "\"Command\", \"delivery\": \"durable\", \"from\": \"supervisor.operator\" } among the inputs of the risk agent (as "
        + "RiskSentinel does). Until then `agentctl stop` of the risk agent stops trading"

    private func nextID() -> String {
        orders += 1
        return "operator/\(Self.unixNs())-\(getpid())-\(orders)"
    }

    /// All or nothing: on record, and given to agents that are there to hear it.
    private func loosen(
        _ order: TradingOrder, _ gates: [String], _ peer: ControlPeer
    ) throws(ControlError) -> ([OperatorCommand], String?) {
        let state = order.state.word ?? ""
        if let away = gates.first(where: { !link.isConnected($0) }) {
            throw ControlError(
                .refused,
                "\(surroundings.describe(away)) is not there to take \(state), and it would take it whenever it comes back: start "
                    + "it first. Nothing has changed")
        }
        var next = book
        let id = nextID()
        var commands: [OperatorCommand] = []
        for gate in gates {
            do {
                commands.append(try next.issue(order, to: gate, id: id, by: peer, at: Self.unixNs()))
            } catch {
                throw ControlError(
                    .refused,
                    "\(next[gate].waiting.count) commands wait for \(surroundings.describe(gate)) already; see why it takes none. "
                        + "Nothing has changed")
            }
        }
        do {
            try write(commands.map { .command($0) })
        } catch {
            throw ControlError(
                .refused,
                "\(state) can't be recorded, and without a record nothing is let through: \(error). Nothing has changed"
            )
        }
        book = next
        for command in commands {
            do {
                try link.send(command.command, to: command.agent, at: command.position)
            } catch {
                for each in commands where !link.isGiven(each.position, to: each.agent) {
                    book.withdraw(each)
                    note(.withdrawn(each, "\(error)", at: Self.unixNs()))
                }
                throw ControlError(.refused, "\(state) can't be sent to \(command.agent): \(error)")
            }
        }
        return (commands, nil)
    }

    /// Nothing on this way may keep a halt from being sent: what fails is told, and it goes on.
    private func tighten(
        _ order: TradingOrder, _ gates: [String], _ peer: ControlPeer
    ) throws(ControlError) -> ([OperatorCommand], String?) {
        let id = nextID()
        var commands: [OperatorCommand] = []
        var warning: String?
        for gate in gates {
            do {
                let command = try book.issue(order, to: gate, id: id, by: peer, at: Self.unixNs())
                commands.append(command)
            } catch .waitsAlready(let last) {
                commands.append(last)
                continue
            } catch {
                // More of other kinds wait than there is room for: nobody takes them.
                lastResort(gate, "too many commands wait for it")
                throw ControlError(
                    .refused,
                    "too many commands wait for \(surroundings.describe(gate)): it is stopped instead, and nothing is approved "
                        + "until it is started again")
            }
            let command = commands[commands.count - 1]
            do {
                try write([.command(command)])
            } catch {
                warning = "NOT RECORDED: \(error)"
                surroundings.tell("\(command.state) by \(command.issuer) is sent without a record: \(error)")
                keep(.command(command, note: "written later"))
            }
            do {
                try link.send(command.command, to: gate, at: command.position)
            } catch {
                resend(gate)
            }
        }
        return (commands, warning)
    }

    /// The link would not take a number: everything that waits goes under higher ones.
    private func resend(_ agent: String) {
        for command in book.renumber(agent, above: link.last(to: agent), at: Self.unixNs()) {
            do {
                note(.command(command, note: "renumbered"))
                try link.send(command.command, to: agent, at: command.position)
            } catch {
                guard !command.tradingState.mayTrade else { continue }
                lastResort(agent, "\(error)")
            }
        }
    }

    private func lastResort(_ gate: String, _ why: String) {
        surroundings.tell("\(gate) can't be told to halt (\(why)): it is stopped, so that nothing more is approved")
        surroundings.stop(gate)
    }

    // MARK: - The record

    private func write(_ entries: [OperatorEntry]) throws {
        let late = unwritten
        try journal.write(late + entries) { [book] in
            book.carried(at: Self.unixNs()).filter { carried in !entries.contains { $0.says(what: carried) } }
        }
        unwritten.removeFirst(late.count)
    }

    /// What has happened in any case is written if that can be.
    func note(_ entry: OperatorEntry) {
        do {
            try write([entry])
        } catch {
            if unwritten.isEmpty { surroundings.tell("the record of operators' commands can't be written: \(error)") }
            keep(entry)
        }
    }

    private func keep(_ entry: OperatorEntry) {
        unwritten.append(entry)
        if unwritten.count > Self.maxUnwritten { unwritten.removeFirst() }
    }

    // MARK: - From the agents

    private func joined(_ agent: String, _ position: LinkPosition) {
        let (applied, again) = book.note(joined: agent, applied: position, at: Self.unixNs())
        conclude(applied, agent, position)
        for command in again {
            note(.command(command, note: "renumbered: \(agent) has applied \(position.epoch).\(position.sequence)"))
            try? link.send(command.command, to: agent, at: command.position)
        }
        look()
    }

    private func applied(_ agent: String, _ position: LinkPosition) {
        conclude(book.note(applied: position, by: agent), agent, position)
        look()
    }

    private func conclude(_ commands: [OperatorCommand], _ agent: String, _ position: LinkPosition) {
        guard let last = commands.last else { return }
        note(.applied(agent, position, at: Self.unixNs()))
        surroundings.tell("\(agent) has applied \(last.state) by \(last.issuer)")
    }

    private func announced(_ agent: String, _ command: Command) {
        guard surroundings.gates().contains(agent) else { return }
        let now = Self.unixNs()
        let before = book[agent].news
        let news = TradingNews(command, at: now)
        if book.note(news, from: agent) {
            note(.state(agent, news, at: now))
            let was = before.map { "\($0.state) → " } ?? ""
            let why = news.reason.isEmpty ? "" : ": \(news.reason)"
            surroundings.tell("\(agent): trading state \(was)\(news.state) by \(news.by)\(why)")
        }
        look()
    }

    /// The agent's process is gone.
    func ended(_ agent: String) { book.note(ended: agent) }

    // MARK: - Waiting

    /// Answers whoever can be answered, and comes again while anybody waits.
    private func look() {
        guard !requests.isEmpty else { return }
        let now = EventLoop.now()
        var open: [Request] = []
        for var request in requests {
            switch request.wait.look(facts) {
            case .confirmed: confirm(request, now)
            case .overruled(let agent, let news): overrule(request, agent, news)
            case .waiting where now >= request.deadline:
                giveUp(request, "not confirmed within \(request.order.waitSeconds) s")
            case .waiting: open.append(request)
            }
        }
        requests = open
        if let timer { loop.cancel(timer) }
        timer = nil
        guard let next = requests.map(\.deadline).min(), let last = requests.map(\.begunAt).max() else { return }
        let pauseMs = max(Self.lookMs.lowerBound, min((now - last).count / 4_000_000, Self.lookMs.upperBound))
        let wake = min(next, now + .milliseconds(pauseMs))
        timer = loop.schedule(at: wake) { [unowned self] in
            timer = nil
            look()
        }
    }

    private func facts(_ part: TradingWait.Part) -> TradingWait.Facts {
        let line = book[part.agent]
        let isApplied = !book.isWaiting(part.command, for: part.agent)
        return TradingWait.Facts(
            isApplied: isApplied, news: line.news, isNewsCurrent: line.isNewsCurrent,
            consumers: isApplied || part.isApplied ? surroundings.consumers(part.agent) : nil)
    }
}

extension TradingState {
    /// Something may trade in it that might not in a stricter one.
    fileprivate var mayTrade: Bool { self == .active || self == .reducing }
}
