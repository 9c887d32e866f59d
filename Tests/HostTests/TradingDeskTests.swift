import CLinux
import Foundation
import Journal
import Testing
import Wire

@testable import Host

/// The desk with a real link, a real record, and this process as the gate.
@Suite struct TradingDeskTests {
    private final class Room {
        let loop: EventLoop
        let directory: String
        private(set) var link: LinkServer
        private(set) var desk: TradingDesk!
        var gates = ["Gate"]
        var consumers: [TradingWait.Consumer]? = []
        var told: [String] = []
        var stopped: [String] = []
        var answers: [Result<TradingReport, ControlError>] = []

        init(_ directory: TemporaryDirectory) throws {
            loop = try EventLoop()
            self.directory = directory.path
            link = try Self.listen(directory.path, loop)
            open()
        }

        var journal: String { "\(directory)/operator" }
        var linkPath: String { "\(directory)/link.sock" }

        private static func listen(_ directory: String, _ loop: EventLoop) throws -> LinkServer {
            try LinkServer(
                path: "\(directory)/link.sock", loop: loop,
                identify: {
                    $0 == getpid() ? LinkServer.Peer(agent: "Gate", incarnation: 3) : nil
                })
        }

        private func open() {
            desk = TradingDesk(
                journal: OperatorJournal(directory: journal), link: link, loop: loop,
                surroundings: .init(
                    gates: { [unowned self] in gates }, consumers: { [unowned self] _ in consumers }, describe: { $0 },
                    tell: { [unowned self] in told.append($0) }, stop: { [unowned self] in stopped.append($0) }))
            desk.begin()
        }

        /// Another supervisor after a kill: nothing was closed.
        func restart() throws {
            link.close()
            link = try Self.listen(directory, loop)
            open()
        }

        func order(_ state: TradingState, _ reason: String = "a test", by: String? = "Ada", wait: Double = 60) {
            desk.carryOut(
                TradingOrder(state: state, reason: reason, by: by, waitSeconds: wait),
                by: ControlPeer(pid: 4_711, uid: 1_000)
            ) { [unowned self] in answers.append($0) }
        }

        func wait(_ what: Comment, _ condition: () -> Bool) throws {
            let isMet = try loop.run(untilMs: 60_000) {
                if condition() { return true }
                loop.schedule(afterMs: 1) {}
                return false
            }
            try #require(isMet, what)
        }

        /// The next answer.
        func answer() throws -> Result<TradingReport, ControlError> {
            try wait("an answer comes") { !answers.isEmpty }
            return answers.removeFirst()
        }

        func refusal() throws -> ControlError {
            guard case .failure(let error) = try answer() else { throw PosixError("no refusal") }
            return error
        }

        func entries() throws -> [OperatorEntry] {
            var entries: [OperatorEntry] = []
            try OperatorJournal(directory: journal).read { entries.append($0) }
            return entries
        }
    }

    /// The gate, driven by hand.
    private final class Gate {
        let descriptor: Descriptor
        private unowned let room: Room

        init(_ room: Room, applied: LinkPosition = .none, telling state: TradingState? = .active) throws {
            self.room = room
            descriptor = Descriptor(try check(qp_connect_link(room.linkPath), "connect", room.linkPath))
            say(LinkPacket.hello(incarnation: 3, applied: applied).bytes)
            let first = try hear()
            #expect(first.withUnsafeBytes { LinkPacket($0) } == .welcome)
            if let state { try tell(state) }
        }

        func say(_ bytes: [UInt8]) { _ = Glibc.send(descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

        func tell(_ state: TradingState, by: String = "Gate", _ reason: String = "") throws {
            var command = Command()
            command.kind = .setTradingState
            command.tradingState = state
            command.issuedBy = by
            command.reason = reason
            var frame = try Payload.command(command).encoded()
            let output = OutputID(port: "Gate.state")
            let trace = TraceID(output: output, incarnation: 3, sequence: 0)
            let now = EventLoop.now()
            try frame.seal(
                Header(
                    payloadType: .command, output: output, incarnation: 3, sequence: 0, trace: trace, originAt: now,
                    sentAt: now, payloadBytes: 0))
            say(frame.bytes)
        }

        func hear() throws -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: Limits.maxLinkPacketBytes)
            var count = -1
            try room.wait("the gate hears something") {
                count = recv(descriptor.raw, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                return count >= 0
            }
            return Array(buffer[..<count])
        }

        func command() throws -> (position: LinkPosition, command: Command) {
            try hear().withUnsafeBytes { frame in
                let header = try Header(frame: frame)
                let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
                guard
                    case .command(let command) = try Payload(
                        type: header.payloadType, encoding: header.encoding, bytes: body)
                else { throw PosixError("no command") }
                return (LinkPosition(epoch: header.incarnation, sequence: header.sequence), command)
            }
        }

        /// Takes one command as RiskSentinel does.
        @discardableResult
        func obey() throws -> (position: LinkPosition, command: Command) {
            let (position, command) = try command()
            try tell(command.tradingState, by: command.issuedBy, command.reason)
            say(LinkPacket.applied(position).bytes)
            return (position, command)
        }
    }

    private static func consumer(_ agent: String, _ acked: UInt64) -> TradingWait.Consumer {
        .init(agent: agent, isDurable: true, sent: 7, acked: acked)
    }

    @Test("on record, then sent, then applied, then acknowledged by every consumer: only then it is said to hold")
    func halt() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            let gate = try Gate(room)
            try room.wait("the gate has told its state") { room.desk.status()[0].isCurrent }
            room.consumers = [Self.consumer("Flow", 6), Self.consumer("Venue", 6)]
            room.order(.halted, "fat finger")
            #expect(try room.entries().last?.command?.reason == "fat finger", "written before the gate has it")
            let (position, command) = try gate.obey()
            #expect(position.sequence == 1)
            #expect(command.tradingState == .halted && command.issuedBy == "Ada" && command.reason == "fat finger")
            #expect(!command.commandID.isEmpty && command.kind == .setTradingState)
            try room.wait("the desk has heard it") { room.desk.status()[0].state == "HALTED" }
            #expect(room.answers.isEmpty)
            room.consumers = [Self.consumer("Flow", 7), Self.consumer("Venue", 6)]
            try room.wait("it looks again") {
                room.loop.schedule(afterMs: 5) {}
                return true
            }
            #expect(room.answers.isEmpty)
            room.consumers = [Self.consumer("Flow", 7), Self.consumer("Venue", 7)]
            let report = try room.answer().get()
            #expect(report.confirmedBy == ["Flow", "Venue"] && report.isRecorded)
            #expect(report.states == ["Gate": "HALTED"])

            let entries = try room.entries()
            #expect(entries.map(\.kind) == [.state, .command, .state, .applied, .confirmed])
            let recorded = try #require(entries[1].command)
            #expect(recorded.uid == 1_000 && recorded.pid == 4_711 && recorded.by == "Ada")
            #expect(entries[4].confirmedBy == ["Flow", "Venue"])
            let status = try #require(room.desk.status().first)
            #expect(status.by == "Ada" && status.reason == "fat finger" && status.isCurrent && status.waiting == 0)
            #expect(status.unconfirmed == [])
            let timers = room.loop.wakeups
            _ = try room.loop.run(untilMs: 50) { false }
            #expect(room.loop.wakeups - timers < 5, "nobody waits, nothing wakes up")
        }
    }

    @Test("a second halt is one more record and no other state; positions have no gap")
    func again() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            let gate = try Gate(room)
            for number in 1...3 as ClosedRange<UInt64> {
                room.order(.halted, by: nil)
                let (position, command) = try gate.obey()
                #expect(position.sequence == number && command.issuedBy == "uid 1000")
                #expect(try room.answer().get().states == ["Gate": "HALTED"])
            }
            #expect(try room.entries().filter { $0.kind == .state }.map(\.news?.state) == ["ACTIVE", "HALTED"])
        }
    }

    @Test("what is not confirmed in time is named, stays in force, and reaches whoever comes back")
    func unconfirmed() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            room.order(.halted, wait: 0.05)
            let away = try room.refusal()
            #expect(away.code == .unconfirmed && away.message.contains("not applied by Gate"), "\(away)")
            #expect(away.message.contains("stays in force"))
            #expect(away.data?["notApplied"]?.array == [.string("Gate")])
            #expect(room.desk.status()[0].waiting == 1 && room.desk.status()[0].state == nil)

            let gate = try Gate(room)
            try gate.obey()
            try room.wait("it is applied") { room.desk.status()[0].waiting == 0 }
            room.consumers = [Self.consumer("Flow", 7), Self.consumer("Venue", 6)]
            // Time enough for the gate to be heard, none for the venue.
            room.order(.halted, wait: 3)
            try gate.obey()
            let missing = try room.refusal()
            #expect(missing.message.contains("Gate has applied it; not confirmed by Venue"), "\(missing)")
            #expect(missing.data?["unconfirmed"]?.array == [.string("Venue")])
            #expect(room.desk.status()[0].unconfirmed == ["Venue"])
        }
    }

    @Test("resuming needs a name, a reason, a gate that is there and a record; else nothing has changed")
    func resume() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            room.order(.active)
            #expect(try room.refusal().message.contains("start it first. Nothing has changed"))
            let gate = try Gate(room, telling: .halted)
            try room.wait("the gate is there") { room.desk.status().first?.isCurrent == true }
            for (reason, by) in [("", "Ada"), ("x", nil), ("x", "  "), (" ", "Ada")] {
                room.order(.active, reason, by: by)
                #expect(try room.refusal().code == .invalidParams)
            }
            room.order(.reducing, by: nil)
            #expect(try room.refusal().code == .invalidParams)
            let isRecorded = try room.entries().contains { $0.kind == .command }
            #expect(!isRecorded && room.desk.status()[0].waiting == 0)
            room.order(.active, "checked")
            try gate.obey()
            #expect(try room.answer().get().states == ["Gate": "ACTIVE"])
            // The gate takes it and does otherwise.
            room.order(.active)
            let (position, _) = try gate.command()
            try gate.tell(.halted, by: "Guardian.ai", "drawdown")
            gate.say(LinkPacket.applied(position).bytes)
            let overruled = try room.refusal()
            #expect(overruled.code == .refused && overruled.message.contains("HALTED by Guardian.ai: drawdown"))
        }
    }

    @Test("a halt that cannot be recorded is sent and says so; a resume is refused; later the record is made good")
    func unwritable() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            // Where the record's folder should be there is a file.
            _ = try directory.file("operator", "in the way")
            let gate = try Gate(room)
            try room.wait("the gate is there") { room.desk.status().first?.isCurrent == true }
            room.order(.halted, "fat finger")
            let (first, command) = try gate.obey()
            #expect(command.tradingState == .halted)
            let report = try room.answer().get()
            #expect(!report.isRecorded && report.message.contains("NOT RECORDED"), "\(report.message)")
            #expect(room.told.contains { $0.contains("without a record") })
            room.order(.active)
            let refused = try room.refusal()
            #expect(refused.code == .refused && refused.message.contains("without a record nothing is let through"))
            #expect(room.desk.status()[0].waiting == 0)

            unlink(room.journal)
            room.order(.active, "repaired")
            let (second, resumed) = try gate.obey()
            #expect(resumed.tradingState == .active)
            #expect(second == LinkPosition(epoch: first.epoch, sequence: first.sequence + 1), "no number was wasted")
            #expect(try room.answer().get().isRecorded)
            let commands = try room.entries().filter { $0.kind == .command }.compactMap(\.command)
            #expect(commands.map(\.state) == ["HALTED", "ACTIVE"] && commands[0].position == first)
        }
    }

    @Test("a record that cannot be read lets nothing through and stops no halt")
    func unreadable() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            let gate = try Gate(room)
            room.order(.halted)
            try gate.obey()
            _ = try room.answer().get()
            let segment = try #require(
                try FileManager.default.contentsOfDirectory(atPath: room.journal).first { $0.hasSuffix(".journal") })
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: "\(room.journal)/\(segment)"))
            try file.seek(toOffset: 4_200)
            try file.write(contentsOf: Data([0xFF, 0xFF, 0xFF]))
            try file.close()
            gate.descriptor.close()
            room.told = []
            try room.restart()
            #expect(room.told.contains { $0.contains("can't be read") }, "\(room.told)")
            let again = try Gate(room)
            try room.wait("the gate is there") { room.desk.status().first?.isCurrent == true }
            room.order(.active)
            #expect(try room.refusal().message.contains("without a record"))
            room.order(.halted)
            #expect(try again.obey().command.tradingState == .halted)
            #expect(try !room.answer().get().isRecorded)
        }
    }

    @Test("a successor sends again what is not applied, at the same place, and nothing else")
    func successor() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            room.order(.halted, "one", wait: 0)
            room.order(.cancelOnly, "two", wait: 0)
            _ = (try room.refusal(), try room.refusal())
            try room.restart()
            let gate = try Gate(room)
            let (first, one) = try gate.obey()
            let (second, two) = try gate.command()
            #expect(one.reason == "one" && two.reason == "two")
            #expect(first.sequence == 1 && second == LinkPosition(epoch: first.epoch, sequence: 2))
            try room.wait("the first is applied") { room.desk.status()[0].waiting == 1 }

            // The gate had applied the second when the supervisor died once more.
            gate.descriptor.close()
            try room.restart()
            let again = try Gate(room, applied: second, telling: .cancelOnly)
            try room.wait("both are applied") { room.desk.status()[0].waiting == 0 }
            room.order(.active)
            let (third, resumed) = try again.obey()
            #expect(resumed.tradingState == .active && third > second && third.sequence == 1)
            _ = try room.answer().get()
            let status = try #require(room.desk.status().first)
            #expect(status.state == "ACTIVE" && status.isCurrent)

            again.descriptor.close()
            try room.restart()
            let known = try #require(room.desk.status().first)
            #expect(known.state == "ACTIVE" && !known.isCurrent && known.by == "Ada", "what was last heard")
        }
    }

    @Test("a predecessor's halt that was never recorded does not swallow the next command")
    func unrecordedBefore() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            _ = try directory.file("operator", "in the way")
            let gate = try Gate(room)
            room.order(.halted)
            let (position, _) = try gate.obey()
            _ = try room.answer().get()
            gate.descriptor.close()
            unlink(room.journal)
            try room.restart()
            // Before the gate is there.
            room.order(.cancelOnly, wait: 60)
            let again = try Gate(room, applied: position, telling: .halted)
            let (next, command) = try again.obey()
            #expect(command.tradingState == .cancelOnly && next > position)
            #expect(try room.answer().get().states == ["Gate": "CANCEL_ONLY"])
        }
    }

    @Test("a link that refuses the number gets a higher one")
    func renumbered() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            let gate = try Gate(room)
            try room.link.send(Command(), to: "Gate", at: LinkPosition(epoch: .max >> 1, sequence: 1))
            _ = try gate.command()
            room.order(.halted)
            let (position, command) = try gate.obey()
            #expect(command.tradingState == .halted && position.epoch > .max >> 1)
            _ = try room.answer().get()
            #expect(room.stopped.isEmpty)
        }
    }

    @Test("where a halt can't be delivered at all, the gate is stopped")
    func lastResort() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            // Nothing can be above this number.
            try room.link.send(Command(), to: "Gate", at: LinkPosition(epoch: .max, sequence: .max))
            room.order(.halted, wait: 0)
            #expect(room.stopped == ["Gate"])
            #expect(try room.refusal().code == .unconfirmed)
        }
    }

    @Test("what an agent announces that is no gate is not taken for the trading state")
    func impostor() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            room.gates = ["Other"]
            _ = try Gate(room, telling: .active)
            try room.wait("it was heard") {
                room.loop.schedule(afterMs: 5) {}
                return room.link.isConnected("Gate")
            }
            #expect(room.desk.status().map(\.state) == [nil] && room.desk.book.isEmpty)
        }
    }

    @Test("without a gate in the configuration one clear error")
    func nobody() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            room.gates = []
            room.order(.halted)
            let refused = try room.refusal()
            #expect(refused.code == .refused && refused.message.contains("no agent of role risk"))
            #expect(room.desk.status().isEmpty)
        }
    }

    @Test("when the supervisor stops, whoever waits is told")
    func stopping() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            room.order(.halted)
            room.desk.close("the supervisor is stopping")
            #expect(try room.refusal().message.contains("the supervisor is stopping"))
            #expect(try room.entries().map(\.kind) == [.command])
        }
    }

    @Test("the record keeps within its size, and what waits stays in it")
    func retention() throws {
        try withTemporaryDirectory { directory in
            let most = 256 << 10
            let journal = OperatorJournal(directory: "\(directory.path)/operator", maxTotalBytes: most)
            var book = OperatorBook()
            let peer = ControlPeer(pid: 1, uid: 0)
            let reason = String(repeating: "x", count: TradingOrder.maxReasonCharacters)
            let waiting = try book.issue(
                TradingOrder(state: .halted, reason: reason, by: nil), to: "Gone", id: "waits", by: peer, at: 1)
            try journal.write([.command(waiting)]) { book.carried(at: 1) }
            var done = waiting
            done.agent = "Gate"
            for number in 1...2_000 {
                done.id = "\(number)"
                done.position = LinkPosition(epoch: 2, sequence: UInt64(number))
                try journal.write([.command(done)]) { book.carried(at: 2) }
            }
            let files = try FileManager.default.contentsOfDirectory(atPath: journal.directory)
            let bytes = files.reduce(0) { sum, name in
                var status = stat()
                stat("\(journal.directory)/\(name)", &status)
                return sum + Int(status.st_blocks) * 512
            }
            #expect(bytes < most + 4 * OperatorJournal.segmentBytes, "\(bytes)")
            var found = OperatorBook()
            try journal.read { found.replay($0) }
            #expect(found["Gone"].waiting.map(\.id) == ["waits"])
        }
    }
}
