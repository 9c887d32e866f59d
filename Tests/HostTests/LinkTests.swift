import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// The supervisor's end of the link, with this process as the agent.
@Suite struct LinkTests {
    private static func command(_ text: String) -> Command {
        var command = Command()
        command.commandID = text
        return command
    }

    private static func position(_ sequence: UInt64) -> LinkPosition { LinkPosition(epoch: 7, sequence: sequence) }

    /// An agent's end, driven by hand.
    private final class Peer {
        let descriptor: Descriptor

        init(_ path: String) throws { descriptor = Descriptor(try check(qp_connect_link(path), "connect", path)) }

        func say(_ packet: LinkPacket) {
            let bytes = packet.bytes
            _ = Glibc.send(descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }

        func say(_ bytes: [UInt8]) { _ = Glibc.send(descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

        /// nil: nothing there; empty: the end.
        func hear() -> [UInt8]? {
            var buffer = [UInt8](repeating: 0, count: Limits.maxLinkPacketBytes)
            let count = recv(descriptor.raw, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return count < 0 ? (errno == EAGAIN ? nil : []) : Array(buffer[..<count])
        }
    }

    private final class Room {
        let loop: EventLoop
        let server: LinkServer
        let path: String
        var peer: LinkServer.Peer? = LinkServer.Peer(agent: "Gate", incarnation: 3)
        var isBirth = false
        var news: [String] = []

        init(_ directory: TemporaryDirectory) throws {
            loop = try EventLoop()
            path = "\(directory.path)/link.sock"
            weak var room: Room?
            server = try LinkServer(
                path: path, loop: loop, identify: { $0 == getpid() ? room?.peer : nil },
                mayBeBorn: { room?.isBirth ?? false })
            room = self
            server.joined = { [unowned self] in news.append("\($0) joined at \($1.sequence)") }
            server.applied = { [unowned self] in news.append("\($0) applied \($1.sequence)") }
        }

        /// Serves until the peer has heard something.
        func hear(_ peer: Peer) throws -> [UInt8] {
            var heard: [UInt8]?
            let isHeard = try loop.run(untilMs: 60_000) {
                heard = peer.hear()
                if heard == nil { loop.schedule(afterMs: 1) {} }
                return heard != nil
            }
            try #require(isHeard, "nothing came")
            return heard!
        }

        func packet(_ peer: Peer) throws -> LinkPacket? {
            try hear(peer).withUnsafeBytes { LinkPacket($0) }
        }

        func command(_ peer: Peer) throws -> (sequence: UInt64, id: String) {
            try hear(peer).withUnsafeBytes { frame in
                let header = try Header(frame: frame)
                #expect(header.output == OperatorPort.output && header.incarnation == 7)
                let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
                let payload = try Payload(type: header.payloadType, encoding: header.encoding, bytes: body)
                guard case .command(let command) = payload else { throw PosixError("no command") }
                return (header.sequence, command.commandID)
            }
        }

        func wait(_ what: Comment, _ condition: () -> Bool) throws {
            let isMet = try loop.run(untilMs: 60_000) {
                if condition() { return true }
                loop.schedule(afterMs: 1) {}
                return false
            }
            try #require(isMet, what)
        }
    }

    @Test("commands arrive in order, now and for whoever comes later, until they are applied")
    func commands() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            try room.server.send(Self.command("early"), to: "Gate", at: Self.position(1))
            let peer = try Peer(room.path)
            peer.say(.hello(incarnation: 3, applied: .none))
            #expect(try room.packet(peer) == .welcome)
            #expect(try room.command(peer) == (1, "early"))
            try room.server.send(Self.command("now"), to: "Gate", at: Self.position(2))
            #expect(try room.command(peer) == (2, "now"))
            #expect(room.server.waiting(for: "Gate") == 2)
            peer.say(.applied(Self.position(1)))
            try room.wait("the first is applied") { room.server.waiting(for: "Gate") == 1 }

            // It comes again knowing only the first: the second is sent again.
            peer.descriptor.close()
            let again = try Peer(room.path)
            again.say(.hello(incarnation: 3, applied: Self.position(1)))
            #expect(try room.packet(again) == .welcome)
            #expect(try room.command(again) == (2, "now"))
            again.say(.applied(Self.position(2)))
            try room.wait("both are applied") { room.server.waiting(for: "Gate") == 0 }
            #expect(room.server.applied(by: "Gate") == Self.position(2))
            #expect(
                room.news == ["Gate joined at 0", "Gate applied 1", "Gate joined at 1", "Gate applied 2"])
        }
    }

    @Test("a successor hears from the agent what it has applied, and sends only what is later")
    func successor() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            let peer = try Peer(room.path)
            peer.say(.hello(incarnation: 3, applied: Self.position(5)))
            #expect(try room.packet(peer) == .welcome)
            for number in 4...6 as ClosedRange<UInt64> {
                try room.server.send(Self.command("\(number)"), to: "Gate", at: Self.position(number))
            }
            #expect(try room.command(peer) == (6, "6"))
            #expect(throws: LinkOutbox.Refused.notAfter(Self.position(6))) {
                try room.server.send(Self.command("again"), to: "Gate", at: Self.position(6))
            }
        }
    }

    @Test("nobody but the living leader of the incarnation it names is let in")
    func strangers() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            let wrong = try Peer(room.path)
            wrong.say(.hello(incarnation: 2, applied: .none))
            #expect(try room.hear(wrong) == [], "an earlier incarnation is sent away")
            room.peer = nil
            let stranger = try Peer(room.path)
            #expect(try room.hear(stranger) == [], "a process that is no agent is sent away")
            #expect(room.server.refused == 2 && room.news.isEmpty)

            // Born a moment ago: it waits until its birth is known.
            room.isBirth = true
            let newborn = try Peer(room.path)
            newborn.say(.hello(incarnation: 3, applied: .none))
            try room.wait("the newborn is accepted") {
                room.loop.schedule(afterMs: 1) {}
                return newborn.hear() == nil
            }
            room.peer = LinkServer.Peer(agent: "Gate", incarnation: 3)
            room.isBirth = false
            room.server.recheck()
            if try room.packet(newborn) != .welcome { Issue.record("the newborn must be let in") }
            #expect(room.news == ["Gate joined at 0"])
        }
    }

    @Test("rubbish, silence and a peer that reads nothing harm nobody")
    func hostile() throws {
        try withTemporaryDirectory { directory in
            let room = try Room(directory)
            let rude = try Peer(room.path)
            rude.say(Array("GET / HTTP/1.1\r\n".utf8))
            rude.say([UInt8](repeating: 0xFF, count: 60_000))
            rude.say(.hello(incarnation: 3, applied: .none))
            #expect(try room.packet(rude) == .welcome)
            rude.say(.applied(LinkPosition(epoch: .max, sequence: .max)))
            rude.say(.hello(incarnation: 9, applied: .none))
            var sent: UInt64 = 0
            var big = Self.command("big")
            big.reason = String(repeating: "x", count: 60_000)
            #expect(throws: LinkOutbox.Refused.full) {
                while true {
                    try room.server.send(big, to: "Gate", at: Self.position(sent + 1))
                    sent += 1
                }
            }
            #expect(sent == UInt64(Limits.maxUnappliedCommands))
            let wakeups = room.loop.wakeups
            _ = try room.loop.run(untilMs: 50) { false }
            #expect(room.loop.wakeups - wakeups < 10, "a peer that reads nothing keeps nobody awake")
            // As soon as it reads, everything comes, in order.
            for number in 1...sent { #expect(try room.command(rude).sequence == number) }
            room.server.announceUpgrade()
            #expect(try room.packet(rude) == .upgrading)
            room.server.close()
            #expect(try room.hear(rude) == [])
            #expect(access(room.path, F_OK) == -1)
        }
    }
}
