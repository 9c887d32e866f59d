import Foundation
import Glibc
import Testing
import Wire

@testable import Commands

/// A supervisor's end of the control socket. What it will answer is written before it is asked, so one thread is enough
/// and nothing has to be waited for.
final class FakeSupervisor {
    let folder: String
    var path: String { folder + "/control.sock" }
    private let listener: Int32
    private var connection: Int32 = -1

    init() throws {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        folder = String(cString: try #require(mkdtemp(&template)))
        // What another test starts must not hold a connection open that ends here.
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = folder + "/control.sock"
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(listener, 4) == 0)
    }

    deinit {
        hangUp()
        close(listener)
        unlink(path)
        rmdir(folder)
    }

    func answer(_ text: String) throws {
        if connection < 0 {
            connection = accept(listener, nil, nil)
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        }
        let bytes = Array(text.utf8)
        try #require(write(connection, bytes, bytes.count) == bytes.count)
    }

    /// On a thread of its own: takes one connection after another, reads a request, and gives this answer; nil: hangs up.
    func serve(_ answers: [String?]) {
        let listener = listener
        Thread.detachNewThread {
            for answer in answers {
                var look = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
                guard poll(&look, 1, 60_000) == 1 else { return }
                let connection = accept(listener, nil, nil)
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                var buffer = [UInt8](repeating: 0, count: 4096)
                _ = recv(connection, &buffer, buffer.count, 0)
                let bytes = Array((answer ?? "").utf8)
                _ = write(connection, bytes, bytes.count)
                close(connection)
            }
        }
    }

    func hangUp() {
        if connection >= 0 { close(connection) }
        connection = -1
    }

    func asked() -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(connection, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
}

@Suite struct ControlClientTests {
    private static func failure(_ body: () throws -> Void) -> Failure? {
        do {
            try body()
            return nil
        } catch {
            return error as? Failure
        }
    }

    private static func event(_ text: String) -> String {
        #"{"jsonrpc":"2.0","method":"log","params":{"agent":"A","text":"\#(text)"}}"# + "\n"
    }

    @Test func asksAndHears() throws {
        let supervisor = try FakeSupervisor()
        var client = try ControlClient(path: supervisor.path)
        try supervisor.answer(
            """
            {"jsonrpc":"2.0","method":"event","params":{}}
            {"jsonrpc":"2.0","id":99,"result":"of another"}
            {"jsonrpc":"2.0","id":1,"result":{"message":"stopped A","agents":["A"]}}

            """)
        let report = try client.call(.stop(["A"]), as: CommandReport.self)
        #expect(report == CommandReport(message: "stopped A", agents: ["A"]))
        #expect(supervisor.asked() == #"{"jsonrpc":"2.0","id":1,"method":"stop","params":{"agent":"A"}}"# + "\n")
        try supervisor.answer(#"{"jsonrpc":"2.0","id":2,"result":[1]}"# + "\n")
        let odd = try client.call(method: "odd", params: .array([.null]))
        #expect(odd.text == "[1]")
        #expect(supervisor.asked() == #"{"jsonrpc":"2.0","id":2,"method":"odd","params":[null]}"# + "\n")
    }

    @Test("the report is read whichever way the answer is written, and told as it came")
    func statusInAnyForm() throws {
        let supervised = #"{"supervisor":{"pid":7,"version":"9","startedAt":"t","adopted":0,"new":[1]},"agents":[]}"#
        for line in [
            #"{"jsonrpc":"2.0","id":1,"result":\#(supervised)}"#, #"{"result":\#(supervised),"jsonrpc":"2.0","id":1}"#,
            #"{"jsonrpc":"2.0","method":"event","params":{}}"# + "\n"
                + #"{"jsonrpc":"2.0","id":1,"result":\#(supervised)}"#,
        ] {
            let supervisor = try FakeSupervisor()
            var client = try ControlClient(path: supervisor.path)
            try supervisor.answer(line + "\n")
            let (report, text) = try client.status()
            #expect(report.supervisor == SupervisorStatus(pid: 7, version: "9", startedAt: "t", adopted: 0))
            #expect(text == supervised)
        }
    }

    @Test func aRefusalIsToldWithItsDetails() throws {
        let supervisor = try FakeSupervisor()
        var client = try ControlClient(path: supervisor.path)
        try supervisor.answer(
            #"{"jsonrpc":"2.0","id":1,"error":{"code":-32003,"message":"nothing changed","data":["a: b","c: d"]}}"#
                + "\n")
        let failure = Self.failure { _ = try client.call(.reload) }
        #expect(failure?.code == .refused && failure?.message == "nothing changed\n  a: b\n  c: d")
    }

    @Test func aRequestThatCouldNotBeReadIsARefusal() throws {
        let supervisor = try FakeSupervisor()
        var client = try ControlClient(path: supervisor.path)
        try supervisor.answer(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}"# + "\n")
        let failure = Self.failure { _ = try client.call(.status) }
        #expect(failure?.code == .refused && failure?.message == "what?")
    }

    @Test func followsUntilTheEnd() throws {
        let supervisor = try FakeSupervisor()
        var client = try ControlClient(path: supervisor.path)
        try supervisor.answer(#"{"jsonrpc":"2.0","id":1,"result":{"lines":[]}}"# + "\n")
        _ = try client.call(.logs(agent: "A", lines: 1, follow: true))
        let whole = Self.event("one") + Self.event("two")
        try supervisor.answer(String(whole.prefix(40)))
        try supervisor.answer(String(whole.dropFirst(40)))
        // What was asked must be read, or closing would reset the connection.
        _ = supervisor.asked()
        supervisor.hangUp()
        var texts: [String?] = []
        while let notification = try client.nextNotification() { texts.append(notification.params["text"]?.string) }
        #expect(texts == ["one", "two"])
    }

    @Test func anAnswerThatIsNone() throws {
        for text in ["hello\n", "{}\n", "[]\n"] {
            let supervisor = try FakeSupervisor()
            var client = try ControlClient(path: supervisor.path)
            try supervisor.answer(text)
            let failure = Self.failure { _ = try client.call(.status) }
            #expect(failure?.code == .refused)
        }
        let supervisor = try FakeSupervisor()
        var client = try ControlClient(path: supervisor.path)
        try supervisor.answer(#"{"jsonrpc":"2.0","id":1,"result":{"agents":5}}"# + "\n")
        let failure = Self.failure { _ = try client.status() }
        #expect(failure?.message.contains("use the agentctl of the same build") == true)
    }

    /// `halt` must reach it, whatever somebody has just done to the file.
    @Test(arguments: [
        #"{ "runDirectory": "FOLDER", "agents": "#, #"{ "runDirectory" : "FOLDER" "agents": {} }"#,
    ])
    func aSupervisorIsFoundWhileItsFileCantBeRead(_ text: String) throws {
        let supervisor = try FakeSupervisor()
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        let file = folder + "/supervisor.json"
        defer {
            unlink(file)
            unlink(folder + "/run")
            rmdir(folder)
        }
        let named = Array(text.replacingOccurrences(of: "FOLDER", with: supervisor.folder).utf8)
        let descriptor = open(file, O_WRONLY | O_CREAT, 0o600)
        #expect(write(descriptor, named, named.count) == named.count)
        close(descriptor)
        #expect(try SocketOptions.pathOfLocalSupervisor(in: folder) == supervisor.path)

        // Without the file: in the usual place.
        unlink(file)
        let alone = Self.failure { _ = try SocketOptions.pathOfLocalSupervisor(in: folder) }
        #expect(alone?.code == .noSupervisor && alone?.message.contains("no supervisor.json") == true)
        try #require(symlink(supervisor.folder, folder + "/run") == 0)
        #expect(try SocketOptions.pathOfLocalSupervisor(in: folder) == folder + "/run/control.sock")
    }

    @Test func whoHearsNothingIsToldThatItMayBeDone() throws {
        let supervisor = try FakeSupervisor()
        var client = try ControlClient(path: supervisor.path)
        supervisor.serve([nil])
        let failure = Self.failure { _ = try client.call(.stop(["A"]), as: CommandReport.self) }
        #expect(failure?.code == .noSupervisor)
        #expect(failure?.message.contains("not known whether this was carried out: `agentctl status`") == true)
    }

    @Test func noSupervisor() throws {
        let supervisor = try FakeSupervisor()
        var client = try ControlClient(path: supervisor.path)
        try supervisor.answer("")
        supervisor.hangUp()
        let failure = Self.failure { _ = try client.call(.status) }
        #expect(failure?.code == .noSupervisor, "\(failure?.message ?? "")")

        for path in ["/nowhere/control.sock", supervisor.folder, "/dev/null"] {
            let failure = Self.failure { _ = try ControlClient(path: path) }
            #expect(failure?.code == .noSupervisor && failure?.message.contains(path) == true, "\(path)")
        }
        let long = Self.failure { _ = try ControlClient(path: "/" + String(repeating: "x", count: 107)) }
        #expect(long?.code == .usage)
    }
}
