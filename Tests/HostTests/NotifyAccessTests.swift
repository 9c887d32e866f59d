import Foundation
import Testing
import Wire

@testable import Host

/// Who may speak for an agent.
@Suite("Supervisor: whose sd_notify counts", .serialized) struct NotifyAccessTests {
    /// A wrapper: its child is ready and pings, and goes on when the wrapper hangs.
    private static let wrapper = """
        #!/bin/sh
        python3 -c '
        import os, socket, time
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.send(b"READY=1\\nSTATUS=from the child")
        while True:
            s.send(b"WATCHDOG=1")
            time.sleep(0.05)
        ' &
        wait

        """

    @Test("a child is not heard, and the log says what to do")
    func main() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", Self.wrapper, manifest: #""readiness": "notify", "start": { "timeoutSeconds": 60 }"#)
        try rig.start()
        try rig.wait("it is told") {
            let log = (try? String(contentsOfFile: "\(rig.path)/run/logs/A.log", encoding: .utf8)) ?? ""
            return log.contains("is not heard") && log.contains(#""notifyAccess": "all""#)
        }
        let agent = try rig.agent("A")
        #expect(agent.state == .starting && agent.statusText == nil)
        #expect(try rig.stop() == 0)
    }

    @Test("a wrapper's child is heard where the manifest says so")
    func all() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", Self.wrapper, manifest: #""readiness": "notify", "notifyAccess": "all", "watchdogSeconds": 5"#)
        try rig.start()
        #expect(try rig.waitFor("A", .running).statusText == "from the child")
        #expect(try rig.stop() == 0)
    }
}
