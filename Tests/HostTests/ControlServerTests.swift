import CLinux
import Foundation
import Testing
import Wire

@testable import Host

@Suite("Control socket: full", .serialized)
struct FullControlSocketTests {
    /// Sends a line and reads nothing of what comes.
    private func connect(_ rig: SupervisorRig, saying line: String) throws -> Descriptor {
        let client = Descriptor(qp_connect_unix("\(rig.path)/run/control.sock"))
        try #require(client.raw >= 0)
        let bytes = Array((line + "\n").utf8)
        try #require(send(client.raw, bytes, bytes.count, 0) == bytes.count)
        return client
    }

    /// It is told this before the end of the connection.
    private func expect(_ client: Descriptor, hears text: String, _ location: SourceLocation = #_sourceLocation) {
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(client.raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var heard = ""
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while !heard.contains(text) {
            let count = recv(client.raw, &buffer, buffer.count, 0)
            guard count > 0 else {
                Issue.record("not heard: \(text); but: \(heard)", sourceLocation: location)
                return
            }
            heard += String(decoding: buffer.prefix(count), as: UTF8.self)
        }
    }

    @Test func followersMakeRoom() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let follow = #"{"jsonrpc":"2.0","id":1,"method":"events","params":{"follow":true,"count":1}}"#
        var followers: [Descriptor] = []
        for _ in 0..<ControlServer.maxClients {
            followers.append(try connect(rig, saying: follow))
            expect(followers.last!, hears: "result")
        }
        rig.reconnect()
        #expect(try rig.agent("A").state == .running)
        expect(followers[0], hears: "follow again")
    }

    /// Each waits for an agent that does not end: none of them may be sent away, and still a stop gets in.
    @Test func whereAllAreBusyAStopGetsInAndNothingElse() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "Slow", "#!/bin/sh\ntrap '' TERM\necho deaf\nwhile :; do sleep 1000 & wait; done\n",
            manifest: #""stop": { "timeoutSeconds": 600 }"#)
        try rig.agent("B", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("B", .running)
        try rig.waitForLine("deaf", of: "Slow")
        let stop = #"{"jsonrpc":"2.0","id":1,"method":"stop","params":{"agents":["Slow"]}}"#
        var busy: [Descriptor] = []
        // The rig's own client is one of them. Closed, it might still make room: what other tests start holds for a moment, from
        // fork to exec, whatever this process has had open.
        try rig.ask(.stop(["Slow"]))
        for _ in 1..<ControlServer.maxClients { busy.append(try connect(rig, saying: stop)) }
        // One that has said nothing yet would make room.
        try rig.wait("all are served") {
            var unread: Int32 = 0
            return busy.allSatisfy { ioctl($0.raw, UInt(TIOCOUTQ), &unread) == 0 && unread == 0 }
        }
        let status = try connect(rig, saying: #"{"jsonrpc":"2.0","id":7,"method":"status"}"#)
        expect(status, hears: "clients are being served; try again later")
        let urgent = try connect(rig, saying: #"{"jsonrpc":"2.0","id":8,"method":"stop","params":{"agents":["B"]}}"#)
        expect(urgent, hears: "B is stopped")
        busy.removeAll()
    }
}

@Suite("Control socket: out of descriptors", .serialized)
struct ControlServerTests {
    @Test("clients that can't be accepted cost no turns of the loop, and are served when there are descriptors again")
    func outOfDescriptors() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        // Few enough to be used up by clients; and none above them, which Foundation could not spawn beside: what another
        // test had open without close-on-exec is closed first.
        let few = """
            for fd in /proc/$$/fd/*; do n=${fd##*/}; [ $n -gt 2 ] && [ $n -ne 255 ] && eval "exec $n>&-"; done
            ulimit -n 80; exec "$@"
            """
        try rig.start(through: ["/bin/bash", "-c", few, "bash"])
        _ = try rig.waitFor("A", .running)
        let supervisor = try rig.status().supervisor.pid
        var clients: [Descriptor] = []
        for _ in 0..<100 {
            let fd = qp_connect_unix("\(rig.path)/run/control.sock")
            if fd >= 0 { clients.append(Descriptor(fd)) }
        }
        func ticks() -> UInt64 { ProcessTable.row(of: supervisor)?.cpuTicks ?? 0 }
        usleep(200_000)
        let before = ticks()
        usleep(1_000_000)
        #expect(ticks() - before < UInt64(ProcessTable.ticksPerSecond) / 4, "it sleeps")
        clients.removeAll()
        // Until it has seen them go, a further client is turned away.
        try rig.wait("a client is served again") {
            rig.reconnect()
            return (try? rig.status())?.agents.first?.state == .running
        }
        #expect(try rig.stop() == 0)
    }
}
