import TestSupport
import Testing
import Wire

@testable import Host

/// Positions, what waits, and what a successor makes of the record.
@Suite struct OperatorBookTests {
    static let peer = ControlPeer(pid: 4_711, uid: 1_000)

    static func order(_ state: TradingState, by: String? = "Ada") -> TradingOrder {
        TradingOrder(state: state, reason: "a test", by: by)
    }

    private static func position(_ epoch: UInt64, _ sequence: UInt64) -> LinkPosition {
        LinkPosition(epoch: epoch, sequence: sequence)
    }

    @Test("each agent's positions count up from 1 without a gap")
    func positions() throws {
        var book = OperatorBook()
        for sequence in 1...3 as ClosedRange<UInt64> {
            for agent in ["A", "B"] {
                let command = try book.issue(
                    Self.order(.halted), to: agent, id: "\(sequence)", by: Self.peer, at: 100 + Int64(sequence))
                #expect(command.position == Self.position(101, sequence))
            }
        }
        #expect(book.note(applied: Self.position(101, 2), by: "A").map(\.id) == ["1", "2"])
        #expect(book["A"].waiting.map(\.id) == ["3"] && book["B"].waiting.count == 3)
        #expect(book.note(applied: Self.position(101, 1), by: "A").isEmpty, "it never goes back")
    }

    @Test("what is read back is what was, however often parts of it are repeated")
    func replay() throws {
        var book = OperatorBook()
        var record: [OperatorEntry] = []
        for number in 1...5 {
            record.append(
                .command(
                    try book.issue(
                        Self.order(.halted), to: "A", id: "\(number)", by: Self.peer, at: 7)))
        }
        let position = Self.position(7, 3)
        _ = book.note(applied: position, by: "A")
        record.append(.applied("A", position, at: 8))
        let news = TradingNews(record[0].command!.command, at: 9)
        #expect(book.note(news, from: "A") && !book.note(news, from: "A"))
        record.append(.state("A", news, at: 9))

        func read(_ entries: [OperatorEntry]) throws -> OperatorBook {
            var book = OperatorBook()
            for entry in entries { book.replay(try OperatorEntry(bytes: entry.bytes)) }
            return book
        }
        let again = try read(record)
        #expect(again["A"].waiting == book["A"].waiting)
        #expect(again["A"].applied == position && again["A"].news == news && !again["A"].isNewsCurrent)
        #expect(try read(record + record) == again)
        #expect(try read(record + again.carried(at: 10)) == again)
        #expect(try read(again.carried(at: 10))["A"].waiting == again["A"].waiting, "older entries may go")
        let other = again.carried(at: 10).allSatisfy { $0.isCarried == true }
        #expect(other)
    }

    @Test("a successor's positions are above all that its predecessor can have used")
    func epochs() throws {
        var old = OperatorBook()
        let command = try old.issue(Self.order(.halted), to: "A", id: "1", by: Self.peer, at: 1_000)
        var book = OperatorBook()
        book.replay(.command(command))
        // The clock went back.
        let next = try book.issue(Self.order(.halted), to: "A", id: "2", by: Self.peer, at: 5)
        #expect(next.position == Self.position(1_001, 1))
        let later = try book.issue(Self.order(.halted), to: "A", id: "3", by: Self.peer, at: 6)
        #expect(later.position == Self.position(1_001, 2))
        #expect(book["A"].waiting.map(\.id) == ["1", "2", "3"], "in the order in which they were commanded")
    }

    @Test("an agent that has applied what no record knows gets what waits under higher numbers")
    func strange() throws {
        var book = OperatorBook()
        _ = try book.issue(Self.order(.halted), to: "A", id: "1", by: Self.peer, at: 10)
        _ = try book.issue(Self.order(.cancelOnly), to: "A", id: "2", by: Self.peer, at: 10)
        let (applied, again) = book.note(joined: "A", applied: Self.position(50, 9), at: 11)
        #expect(applied.isEmpty, "ours were never seen by it")
        #expect(again.map(\.id) == ["1", "2"])
        #expect(again.map(\.position) == [Self.position(51, 1), Self.position(51, 2)])
        #expect(book["A"].waiting == again)

        // A predecessor's unrecorded halt: what it had sent before is applied, and is not sent again.
        var next = OperatorBook()
        var old = OperatorBook()
        next.replay(.command(try old.issue(Self.order(.active), to: "A", id: "1", by: Self.peer, at: 10)))
        let seen = next.note(joined: "A", applied: Self.position(10, 2), at: 12)
        #expect(seen.applied.map(\.id) == ["1"] && seen.again.isEmpty)
        let command = try next.issue(Self.order(.active), to: "A", id: "3", by: Self.peer, at: 12)
        #expect(command.position > Self.position(10, 2))
    }

    @Test("a halt finds room where a resume does not")
    func room() throws {
        var book = OperatorBook()
        for number in 0..<OperatorBook.maxWaitingLoose {
            _ = try book.issue(Self.order(.reducing), to: "A", id: "r\(number)", by: Self.peer, at: 1)
        }
        #expect(throws: OperatorBook.Refusal.full(16)) {
            try book.issue(Self.order(.active), to: "A", id: "x", by: Self.peer, at: 1)
        }
        while book["A"].waiting.count < OperatorBook.maxWaiting {
            _ = try book.issue(Self.order(.halted), to: "A", id: "h\(book["A"].waiting.count)", by: Self.peer, at: 1)
        }
        let last = try #require(book["A"].waiting.last)
        #expect(throws: OperatorBook.Refusal.waitsAlready(last)) {
            try book.issue(Self.order(.halted), to: "A", id: "y", by: Self.peer, at: 1)
        }
        #expect(throws: OperatorBook.Refusal.full(OperatorBook.maxWaiting)) {
            try book.issue(Self.order(.cancelOnly), to: "A", id: "z", by: Self.peer, at: 1)
        }
    }

    @Test("an old command that would let trade is dropped, a halt never is")
    func lapse() throws {
        var book = OperatorBook()
        let states: [TradingState] = [.active, .reducing, .halted, .cancelOnly]
        for (number, state) in states.enumerated() {
            _ = try book.issue(Self.order(state), to: "A", id: "\(number)", by: Self.peer, at: 0)
        }
        #expect(book.lapse(at: OperatorBook.loosenValidity.count).isEmpty)
        #expect(book.lapse(at: OperatorBook.loosenValidity.count + 1).map(\.id) == ["0", "1"])
        #expect(book["A"].waiting.map(\.id) == ["2", "3"])
    }

    @Test("agents that take no commands leave no trace")
    func bystanders() {
        var book = OperatorBook()
        #expect(book.note(joined: "Feed", applied: .none, at: 1).again.isEmpty)
        book.note(ended: "Feed")
        #expect(book.isEmpty)
    }

    // MARK: Histories

    /// A supervisor that is killed, a record that cannot be written at times, and an agent that dies, connects again and
    /// loses what was on its way: as in `LinkServer` and `SequenceTracker`.
    private struct World {
        var random: SplitMix64
        var book = OperatorBook()
        var record: [OperatorEntry] = []
        var now: Int64 = 1_000
        var isConnected = false
        /// On the way to the agent.
        var sent: [OperatorCommand] = []
        /// What the agent remembers.
        var applied = LinkPosition.none
        var ids: Set<String> = []
        var effects: [String] = []
        var lost: UInt64 = 0
        /// Of commands that are on record, in the order in which they were given.
        var given: [String] = []
        var issued = 0

        mutating func below(_ bound: UInt64) -> UInt64 { random.next() % bound }

        mutating func step() throws {
            now += Int64(below(50))
            switch below(12) {
            case 0...3: try issue()
            case 4...6: deliver()
            case 7: connect()
            case 8: disconnect()
            case 9: acknowledge()
            case 10 where below(4) == 0: restartSupervisor()
            default: break
            }
        }

        mutating func issue() throws {
            issued += 1
            let command = try book.issue(
                OperatorBookTests.order(.halted), to: "A", id: "\(issued)", by: OperatorBookTests.peer, at: now)
            if below(5) > 0 {
                record.append(.command(command))
                given.append(command.id)
            }
            if isConnected { sent.append(command) }
        }

        mutating func deliver() {
            guard isConnected, !sent.isEmpty else { return }
            let command = sent.removeFirst()
            guard command.position > applied else { return }
            if command.epoch == applied.epoch {
                lost += command.sequence - applied.sequence - 1
            } else if applied > .none {
                lost += command.sequence - 1
            }
            applied = command.position
            if ids.insert(command.id).inserted { effects.append(command.id) }
        }

        mutating func acknowledge() {
            guard isConnected else { return }
            for _ in book.note(applied: applied, by: "A") { record.append(.applied("A", applied, at: now)) }
        }

        mutating func connect() {
            disconnect()
            isConnected = true
            _ = book.note(joined: "A", applied: applied, at: now)
            sent = book["A"].waiting
        }

        mutating func disconnect() {
            isConnected = false
            sent = []
        }

        mutating func restartSupervisor() {
            disconnect()
            book = OperatorBook()
            for entry in record { book.replay(entry) }
            if below(2) == 0 { record = book.carried(at: now) }
            // The clock may go back between two lives.
            now = max(1, now - Int64(below(2_000)))
        }
    }

    @Test("whatever dies and whenever: each command on record takes effect exactly once, in order", arguments: 0..<200)
    func histories(_ seed: Int) throws {
        var world = World(random: SplitMix64(seed: UInt64(seed)))
        for _ in 0..<150 {
            if world.book["A"].waiting.count > 100 { break }
            try world.step()
        }
        world.connect()
        while !world.sent.isEmpty { world.deliver() }
        world.acknowledge()
        #expect(world.book["A"].waiting.isEmpty)
        let recorded = Set(world.given)
        #expect(world.effects.filter(recorded.contains) == world.given, "seed \(seed)")
        #expect(Set(world.effects).count == world.effects.count)
    }
}
