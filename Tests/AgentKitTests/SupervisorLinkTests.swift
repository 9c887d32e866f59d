import CLinux
import Glibc
import Testing
import Wire

@testable import AgentKit

/// The agent's end of the link, with the supervisor's end in the test's hand.
@Suite struct SupervisorLinkTests {
    private final class Supervisor {
        let path: String
        private let directory: String
        private var listener: Int32 = -1
        private(set) var peer: Int32 = -1

        init() {
            var template = Array("/tmp/qp-XXXXXX".utf8CString)
            directory = String(cString: mkdtemp(&template))
            path = "\(directory)/link.sock"
            listen()
        }

        deinit {
            die()
            rmdir(directory)
        }

        func listen() {
            listener = qp_listen_link(path, 8)
            precondition(listener >= 0)
        }

        func accept() -> Bool {
            peer = qp_accept(listener)
            return peer >= 0
        }

        func hear() -> LinkPacket? {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            let count = recv(peer, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return count > 0
                ? buffer.withUnsafeBytes { LinkPacket(UnsafeRawBufferPointer(rebasing: $0[..<count])) } : nil
        }

        func say(_ bytes: [UInt8]) { precondition(send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count) }

        func hangUp() {
            if peer >= 0 { close(peer) }
            peer = -1
        }

        func die() {
            hangUp()
            if listener >= 0 { close(listener) }
            listener = -1
            unlink(path)
        }
    }

    private func at(_ ms: Int64) -> Instant { Instant(nanoseconds: ms * 1_000_000) }

    private func isReadable(_ descriptor: Int32) -> Bool {
        var look = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&look, 1, 0) == 1
    }

    @Test("says who it is, applies what comes, tells what it has applied, and again after a loss")
    func life() throws {
        let supervisor = Supervisor()
        let link = try #require(
            try SupervisorLink(path: supervisor.path, incarnation: 5, deadMan: .seconds(60), at: at(0)))
        var applied = LinkPosition(epoch: 1, sequence: 3)
        var delivered: [[UInt8]] = []
        func serve(_ ms: Int64) {
            link.service(at: at(ms), applied: applied) { frame in
                delivered.append(Array(frame))
                applied.sequence += 1
                return applied
            }
            link.settle()
        }
        serve(0)
        #expect(supervisor.accept())
        #expect(supervisor.hear() == .hello(incarnation: 5, applied: LinkPosition(epoch: 1, sequence: 3)))
        #expect(link.presence.absentSince != nil)
        supervisor.say(LinkPacket.welcome.bytes)
        supervisor.say([1, 2, 3])
        supervisor.say([4, 5])
        #expect(isReadable(link.descriptor))
        serve(1)
        #expect(delivered == [[1, 2, 3], [4, 5]])
        #expect(link.presence.absentSince == nil && link.presence.nextWake == nil)
        #expect(supervisor.hear() == .applied(LinkPosition(epoch: 1, sequence: 5)), "acknowledged once for the round")
        #expect(supervisor.hear() == nil)
        #expect(!isReadable(link.descriptor))

        supervisor.die()
        #expect(isReadable(link.descriptor), "the end wakes the agent")
        serve(10)
        #expect(link.presence.absentSince == at(10))
        let retry = try #require(link.presence.nextWake)
        serve(retry.nanoseconds / 1_000_000)
        #expect(link.presence.absentSince == at(10), "nobody is there")
        supervisor.listen()
        serve(5_000)
        #expect(supervisor.accept())
        #expect(supervisor.hear() == .hello(incarnation: 5, applied: LinkPosition(epoch: 1, sequence: 5)))
        supervisor.say(LinkPacket.welcome.bytes)
        serve(5_001)
        #expect(link.presence.absentSince == nil)
    }

    @Test("a supervisor that reads nothing does not keep the agent awake or waiting")
    func slowSupervisor() throws {
        let supervisor = Supervisor()
        let link = try #require(try SupervisorLink(path: supervisor.path, incarnation: 1, deadMan: nil, at: at(0)))
        var applied = LinkPosition.none
        link.service(at: at(0), applied: applied) { _ in applied }
        #expect(supervisor.accept())
        for _ in 0..<2_000 {
            supervisor.say([1])
            link.service(at: at(1), applied: applied) { _ in
                applied.sequence += 1
                return applied
            }
            link.settle()
        }
        #expect(applied.sequence == 2_000)
        #expect(!isReadable(link.descriptor), "no room: it sleeps until there is")
        while supervisor.hear() != nil {}
        #expect(isReadable(link.descriptor))
        link.service(at: at(2), applied: applied) { _ in applied }
        link.settle()
        #expect(supervisor.hear() == .applied(LinkPosition(epoch: 0, sequence: 2_000)))
        #expect(!isReadable(link.descriptor))
    }

    @Test("each supervisor is told once what trading state holds, before a command that led to it counts as applied")
    func announcements() throws {
        let supervisor = Supervisor()
        let link = try #require(try SupervisorLink(path: supervisor.path, incarnation: 5, deadMan: nil, at: at(0)))
        func state(_ state: TradingState, _ id: String) -> Command {
            var command = Command()
            command.tradingState = state
            command.commandID = id
            return command
        }
        func serve(_ ms: Int64, then announce: (Command, [UInt8])? = nil) {
            link.service(at: at(ms), applied: .none) { _ in
                if let announce { link.announce(announce.0, frame: announce.1) }
                return LinkPosition(epoch: 1, sequence: 1)
            }
            link.settle()
        }
        func hearBytes() -> [UInt8]? {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            let count = recv(supervisor.peer, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return count > 0 ? Array(buffer[..<count]) : nil
        }
        link.announce(state(.active, "1"), frame: [1, 1])
        serve(0)
        #expect(supervisor.accept())
        #expect(supervisor.hear() == .hello(incarnation: 5, applied: .none))
        #expect(hearBytes() == nil, "it is not known yet who speaks")
        supervisor.say(LinkPacket.welcome.bytes)
        serve(1)
        #expect(hearBytes() == [1, 1])
        link.announce(state(.active, "2"), frame: [2, 2])
        serve(2)
        #expect(hearBytes() == nil, "a repetition is no news")
        supervisor.say([9])
        serve(3, then: (state(.halted, "3"), [3, 3]))
        #expect(hearBytes() == [3, 3])
        #expect(supervisor.hear() == .applied(LinkPosition(epoch: 1, sequence: 1)))
        supervisor.hangUp()
        serve(4)
        serve(6_000)
        #expect(supervisor.accept())
        #expect(supervisor.hear() == .hello(incarnation: 5, applied: .none))
        supervisor.say(LinkPacket.welcome.bytes)
        serve(6_001)
        #expect(hearBytes() == [3, 3], "the next one has not heard it")
        #expect(hearBytes() == nil)
    }

    @Test("no supervisor, no link")
    func none() throws {
        #expect(try SupervisorLink(path: nil, incarnation: 1, deadMan: nil, at: at(0)) == nil)
    }
}
