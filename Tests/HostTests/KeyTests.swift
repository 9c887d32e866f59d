import CLinux
import Foundation
import Testing
import Wire

@testable import Host

@Suite("Keys of the order path", .serialized)
struct KeyTests {
    /// Tells what it was given: the variable, what the descriptor is, whether it can be written, and the limit of cores.
    private static let witness = """
        #!/usr/bin/python3
        import os, mmap, resource, time
        fd = os.environ.get("QP_KEYS_FD")
        print("role", os.environ["QP_ROLE"], "keys", fd, flush=True)
        if fd:
            page = mmap.mmap(int(fd), 4096, mmap.MAP_SHARED, mmap.PROT_READ)
            print("page", page[:6].decode(), "current", int.from_bytes(page[16:24], "little"), flush=True)
            try:
                os.pwrite(int(fd), b"x", 0)
                print("writable", flush=True)
            except OSError as error:
                print("write refused", error.errno, flush=True)
        else:
            print("descriptors", sorted(os.listdir("/proc/self/fd"))[:8], flush=True)
        print("core", resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
        time.sleep(1000)

        """

    @Test func onlyRiskAndVenueGetThemForReadingOnly() throws {
        let rig = try SupervisorRig()
        let roles: [AgentRole] = [.risk, .venue, .execution, .utility]
        for role in roles { try rig.agent(role.rawValue, Self.witness, manifest: #""role": "\#(role.rawValue)""#) }
        try rig.start()
        for role in [AgentRole.risk, .venue] {
            try rig.waitForLine("role \(role.rawValue) keys 3", of: role.rawValue)
            try rig.waitForLine("write refused \(EBADF)", of: role.rawValue)
            try rig.waitForLine("core 0", of: role.rawValue)
        }
        for role in [AgentRole.execution, .utility] {
            try rig.waitForLine("role \(role.rawValue) keys None", of: role.rawValue)
        }
        var info = stat()
        #expect(stat("\(rig.path)/run/keyring", &info) == 0)
        #expect(info.st_mode & 0o777 == 0o600)
        #expect(try rig.stop() == 0)
    }

    @Test func aNewKeyBeginsWithEachStartAndTheyGoOnOverSupervisors() throws {
        let rig = try SupervisorRig()
        try rig.agent("Risk", Self.witness, manifest: #""role": "risk""#)
        try rig.start()
        let first = try rig.waitFor("Risk", .running)
        // 1 was made with the file, 2 with the first start.
        try rig.waitForLine("page QPKEYS current 2", of: "Risk")
        kill(try #require(first.pid), SIGKILL)
        _ = try rig.waitFor("Risk", .running, incarnation: 2)
        try rig.waitForLine("page QPKEYS current 3", of: "Risk")
        // Kept by a running supervisor even if the file goes.
        #expect(try rig.stop() == 0)
        try rig.start()
        try rig.waitForLine("page QPKEYS current 4", of: "Risk")
        #expect(try rig.stop() == 0)
    }

    @Test func aFileThatOthersMayReadStopsTheStart() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        #expect(try rig.stop() == 0)
        chmod("\(rig.path)/run/keyring", 0o644)
        try rig.start()
        #expect(try rig.exitCode() != 0)
        #expect(rig.output.contains("keyring is open to other users (mode 644)"), "\(rig.output)")
        #expect(rig.output.contains("remove it"))
    }

    @Test func keysStayAtHomeWhenTheFileIsRemovedMeanwhile() throws {
        let rig = try SupervisorRig()
        try rig.agent("Risk", Self.witness, manifest: #""role": "risk""#)
        try rig.start()
        let first = try rig.waitFor("Risk", .running)
        try rig.waitForLine("page QPKEYS current 2", of: "Risk")
        unlink("\(rig.path)/run/keyring")
        kill(try #require(first.pid), SIGKILL)
        _ = try rig.waitFor("Risk", .running, incarnation: 2)
        try rig.waitForLine("page QPKEYS current 3", of: "Risk")
        #expect(try rig.stop() == 0)
    }
}
