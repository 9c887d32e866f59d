import CLinux
import Foundation
import Testing
import Wire

@testable import Host

@Suite("Supervisor: told to a service manager", .serialized)
struct ServiceManagerTests {
    /// What a service manager is: a datagram socket and what came to it.
    private final class Listener {
        let path: String
        private let socket: Descriptor
        private(set) var words: [String] = []

        init(_ path: String) throws {
            self.path = path
            socket = Descriptor(qp_bind_unix_datagram(path))
            try #require(socket.raw >= 0)
        }

        func hears(_ text: String) -> Bool {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while case let count = recv(socket.raw, &buffer, buffer.count, 0), count > 0 {
                words.append(String(decoding: buffer.prefix(count), as: UTF8.self))
            }
            return words.contains { $0.contains(text) }
        }
    }

    private func start(_ rig: SupervisorRig, _ listener: Listener, _ variables: [String] = []) throws {
        try rig.start(through: ["/usr/bin/env", "NOTIFY_SOCKET=\(listener.path)"] + variables)
    }

    @Test func itHearsOfReadinessOfTroubleAndOfTheEnd() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.agent("B", SupervisorRig.sleeper, manifest: #""stop": { "timeoutSeconds": 7 }"#)
        let listener = try Listener("\(rig.path)/manager")
        try start(rig, listener)
        try rig.wait("READY") { listener.hears("READY=1\nSTATUS=2 of 2 agents run") }
        #expect(!listener.hears("WATCHDOG"), "nobody asked for signs of life")
        let message = try rig.call(.stop(["A"])).report(CommandReport.self).message
        #expect(message == "A is stopped")
        try rig.wait("STATUS") { listener.hears("STATUS=1 of 2 agents run") }
        #expect(try rig.stop() == 0)
        // 5 and 7 seconds, and the reserve.
        #expect(listener.hears("STOPPING=1\nEXTEND_TIMEOUT_USEC=22000000\n"))
        #expect(listener.words.count { $0.contains("READY=1") } == 1)
    }

    @Test func agentsThatFailDoNotMakeTheServiceFail() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", "#!/bin/sh\nexit 78\n", manifest: #""readiness": "notify""#)
        let listener = try Listener("\(rig.path)/manager")
        try start(rig, listener)
        try rig.wait("READY") { listener.hears("READY=1\nSTATUS=0 of 1 agents run; failed: A") }
    }

    /// Of the loop, which a hang would stop: as long as they come, it turns.
    @Test func itHearsSignsOfLife() throws {
        let rig = try SupervisorRig()
        let listener = try Listener("\(rig.path)/manager")
        try start(rig, listener, ["WATCHDOG_USEC=100000"])
        try rig.wait("three signs") { listener.hears("WATCHDOG=1") && listener.words.count { $0 == "WATCHDOG=1" } >= 3 }
        try rig.wait("READY without agents") { listener.hears("READY=1\nSTATUS=0 of 0 agents run") }
    }

    @Test func nobodyThereHarmsNothing() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start(through: ["/usr/bin/env", "NOTIFY_SOCKET=\(rig.path)/gone"])
        _ = try rig.waitFor("A", .running)
        #expect(try rig.stop() == 0)
    }

    @Test(
        arguments: [
            (["WATCHDOG_USEC": "3000000"], 1_500), (["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "42"], 1_500),
            (["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "43"], nil), (["WATCHDOG_USEC": "0"], nil),
            (["WATCHDOG_USEC": "x"], nil), (["WATCHDOG_USEC": "1"], 1), ([:], nil),
        ] as [([String: String], Int64?)])
    func signsOfLifeComeTwiceAsOftenAsTheyMust(_ environment: [String: String], _ pulse: Int64?) {
        #expect(ServiceManager.pulse(environment, pid: 42) == pulse)
    }

    @Test func theFleetIsOneLine() {
        #expect(ServiceManager.line([]) == "0 of 0 agents run")
        #expect(ServiceManager.line([("A", .running), ("B", .stopped)]) == "1 of 2 agents run")
        let many = (1...5).map { ("F\($0)", AgentState.failed) } + [("B", .backoff)]
        #expect(
            ServiceManager.line(many)
                == "0 of 6 agents run; failed: F1, F2, F3 and 2 more; to be started again: B")
    }
}
