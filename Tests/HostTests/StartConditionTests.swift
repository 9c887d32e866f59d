import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What a supervisor may be started with, and meet in its first moments.
@Suite("Supervisor: conditions of the start", .serialized) struct StartConditionTests {
    @Test(
        "with standard input, output or error closed none of its files takes their place",
        arguments: ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    func closedStandardStreams(closed: String) throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start(through: ["/bin/sh", "-c", "exec \"$@\" \(closed)", "sh"])
        _ = try rig.waitFor("A", .running)
        let pid = try rig.status().supervisor.pid
        for number in 0...2 {
            let target = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(number)")
            #expect(target == "/dev/null" || target == "\(rig.path)/output", "\(number) is \(target)")
        }
        #expect(try String(contentsOfFile: "\(rig.path)/run/supervisor.lock", encoding: .utf8) == "\(pid)\n")
        #expect(try rig.stop() == 0)
    }

    @Test("agentctl writes into no socket of its own")
    func agentctlWithoutOutput() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        let command = "\(try Binaries.path(of: "agentctl")) --socket \(rig.path)/run/control.sock"
        process.arguments = ["-c", "\(command) stop A >&- 2>&- && \(command) status >&-"]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        _ = try rig.waitFor("A", .stopped)
        #expect(try rig.stop() == 0)
    }

    @Test("a signal in the first moments waits until it can be served", arguments: [SIGHUP, SIGUSR2, SIGTERM])
    func earlySignal(number: Int32) throws {
        let rig = try SupervisorRig()
        // Reading them takes a while.
        for index in 0..<60 { try rig.agent("A\(index)", SupervisorRig.sleeper, manifest: #""disabled": 1"#) }
        for index in 0..<60 { try rig.write("agents/A\(index)/agent.json", "{ broken") }
        try rig.agent("Z", SupervisorRig.sleeper, manifest: "")
        let notes = Descriptor(inotify_init1(Int32(IN_CLOEXEC)))
        #expect(inotify_add_watch(notes.raw, "\(rig.path)/supervisor.json", UInt32(IN_OPEN)) >= 0)
        // The test's own threads may have it blocked, which would be passed on.
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, number)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        try rig.start()
        var look = pollfd(fd: notes.raw, events: Int16(POLLIN), revents: 0)
        #expect(poll(&look, 1, 60_000) == 1, "it reads its configuration")
        kill(try #require(rig.process).processIdentifier, number)
        if number == SIGTERM {
            #expect(try rig.exitCode() == 0)
        } else {
            // An upgrade ends all connections.
            try rig.wait("it has served the signal, and Z runs") {
                guard let client = ControlLine(path: "\(rig.path)/run/control.sock"),
                    let report = try? client.call(.status).report(StatusReport.self),
                    number != SIGUSR2 || report.supervisor.adopted == 1
                else { return false }
                return report.agents.first { $0.name == "Z" }?.state == .running
            }
            #expect(try rig.stop() == 0)
        }
        #expect(rig.process?.terminationReason == .exit)
    }

    @Test("a signal that nobody here waits for changes nothing, and no agent inherits that")
    func straySignals() throws {
        let rig = try SupervisorRig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let sleeper = try rig.waitFor("sleeper", .running)
        let process = try #require(rig.process)
        let strays = [SIGUSR1, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPIPE, SIGPWR, 34, 64]
        for number in strays { kill(process.processIdentifier, number) }
        #expect(try rig.agent("sleeper").pid == sleeper.pid)
        let status = try String(contentsOfFile: "/proc/\(try #require(sleeper.pid))/status", encoding: .utf8)
        let ignored = try #require(status.split(separator: "\n").first { $0.hasPrefix("SigIgn:") })
        #expect(ignored.hasSuffix("0000000000000000"), "\(ignored)")
        #expect(try rig.stop() == 0)
    }
}
