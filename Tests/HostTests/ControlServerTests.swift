import CLinux
import Foundation
import Testing
import Wire

@testable import Host

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
