import CLinux
import Foundation
import Testing
import Wire

@testable import Host

@Suite("Reserve of descriptors", .serialized) struct DescriptorReserveTests {
    private func openFiles(of pid: pid_t) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
    }

    private func limit(_ pid: pid_t, to count: Int) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
        process.arguments = ["--pid", "\(pid)", "--nofile=\(count):"]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    @Test("agents beyond the limit fail with the reason; control and stopping always work", arguments: [12, 70, 110])
    func agentsComeToTheLimit(room: Int) throws {
        let rig = try SupervisorRig()
        try rig.agent("w", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let first = try rig.waitFor("w", .running)
        let supervisor = try rig.status().supervisor.pid
        try limit(supervisor, to: try openFiles(of: supervisor) + room)
        for index in 0..<16 { try rig.agent("n\(index)", SupervisorRig.sleeper, manifest: "") }
        var agents: [AgentStatus] = []
        try rig.wait("all are decided about") {
            agents = try rig.status().agents.filter { $0.name.hasPrefix("n") }
            return agents.count == 16 && agents.allSatisfy { [.running, .failed].contains($0.state) }
        }
        let failed = agents.filter { $0.state == .failed }
        #expect(!failed.isEmpty)
        for agent in failed { #expect(agent.message?.contains("open files") == true, "\(agent.message ?? "")") }
        #expect(failed.allSatisfy { $0.message?.contains("agentctl start") == true })
        let clients = try (0..<4).map { _ in try rig.newClient() }
        for client in clients { #expect(try client.call(.status).refusal == nil) }
        // Those it has are still held.
        kill(try #require(first.pid), SIGKILL)
        _ = try rig.waitFor("w", .running, incarnation: 2)
        let name = try #require(failed.first?.name)
        try limit(supervisor, to: 1_024)
        #expect(try rig.call(.start([name])).refusal == nil)
        try limit(supervisor, to: try openFiles(of: supervisor) + 12)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
    }

    @Test("a start with a low limit starts those there is room for")
    func lowLimit() throws {
        let rig = try SupervisorRig()
        for index in 0..<12 { try rig.agent("n\(index)", SupervisorRig.sleeper, manifest: "") }
        let few = """
            for fd in /proc/$$/fd/*; do n=${fd##*/}; [ $n -gt 2 ] && [ $n -ne 255 ] && eval "exec $n>&-"; done
            ulimit -n 140; exec "$@"
            """
        try rig.start(through: ["/bin/bash", "-c", few, "bash"])
        var agents: [AgentStatus] = []
        try rig.wait("all are decided about") {
            agents = try rig.status().agents
            return agents.count == 12 && agents.allSatisfy { [.running, .failed].contains($0.state) }
        }
        #expect(agents.contains { $0.state == .running } && agents.contains { $0.state == .failed })
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
    }
}
