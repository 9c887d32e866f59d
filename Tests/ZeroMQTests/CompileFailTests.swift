import Foundation
import Testing

/// Misuse that must not compile, each with a piece of the compiler's reason, so that a snippet that fails for another cause (a
/// renamed method) fails the test. The control holds the same calls used rightly, and must compile.
@Suite struct CompileFailTests {
    struct Snippet: CustomTestStringConvertible, Sendable {
        let name: String
        let reason: String
        let source: String
        var testDescription: String { name }
    }

    static let prelude = """
        import ZeroMQ
        func spawn(_ body: @escaping @Sendable () -> Void) {}
        func use(_ bytes: RawSpan) {}
        let payload: [UInt8] = [1]

        """

    static let control = """
        final class Port {
            var socket: AnyReceiver
            init(_ socket: consuming AnyReceiver) { self.socket = socket }
        }
        final class Shell {
            var ports: [Port] = []
            var kept = ReceiveBuffer()
            func run(_ poller: Poller) throws(ZeroMQError) {
                var buffer = ReceiveBuffer()
                for port in ports {
                    while let bytes = try port.socket.receive(into: &buffer) { use(bytes) }
                    if try port.socket.fill(&kept) { use(kept.bytes) }
                }
                _ = try poller.wait(timeoutMs: 1)
            }
        }
        func right(_ context: Context) throws(ZeroMQError) {
            var push = try Push(context)
            _ = try push.send(payload.span.bytes)
            var subscriber = try Subscriber(context)
            try subscriber.subscribe(to: payload)
            var publisher = try XPublisher(context)
            _ = try publisher.nextSubscription()
            let shell = Shell()
            shell.ports.append(Port(AnyReceiver(subscriber)))
            spawn { try? context.terminate() }
            let sender = AnySender(push)
            Task { _ = sender.handle.isOpen }
        }
        """

    static let misuses = [
        Snippet(
            name: "socket captured by another thread's closure", reason: "non-Sendable type 'Push'",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    let push = try Push(context)
                    spawn { _ = push.handle }
                }
                """),
        Snippet(
            name: "socket used by a task and by its maker", reason: "risks causing data races",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    let push = try Push(context)
                    Task { _ = push.handle.isOpen }
                    _ = push.handle.isOpen
                }
                """),
        Snippet(
            name: "handle captured by another thread's closure", reason: "non-Sendable type 'SocketHandle'",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    let handle = try Push(context).handle
                    spawn { _ = handle.isOpen }
                }
                """),
        Snippet(
            name: "poller captured by another thread's closure", reason: "non-Sendable type 'Poller'",
            source: """
                func wrong(_ poller: Poller) {
                    spawn { _ = try? poller.wait(timeoutMs: 1) }
                }
                """),
        Snippet(
            name: "buffer captured by another thread's closure", reason: "non-Sendable type 'ReceiveBuffer'",
            source: """
                func wrong() {
                    let buffer = ReceiveBuffer()
                    spawn { _ = buffer.count }
                }
                """),
        Snippet(
            name: "socket shared in a global", reason: "is not concurrency-safe because non-'Sendable' type 'Pull'",
            source: """
                enum Shared { static let pull = try! Pull(Context()) }
                """),
        Snippet(
            name: "socket used after it was handed on", reason: "'push' used after consume",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    var push = try Push(context)
                    let sender = AnySender(push)
                    _ = try push.send(payload.span.bytes)
                    _ = sender.handle
                }
                """),
        Snippet(
            name: "socket used after close", reason: "'pull' used after consume",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    var pull = try Pull(context)
                    pull.close()
                    try pull.bind(to: .inproc("a"))
                }
                """),
        Snippet(
            name: "two owners of one socket", reason: "used after consume",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    let one = try Push(context)
                    let two = one
                    _ = one.handle
                    _ = two.handle
                }
                """),
        Snippet(
            name: "subscriber that sends", reason: "value of type 'Subscriber' has no member 'send'",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    var subscriber = try Subscriber(context)
                    _ = try subscriber.send(payload.span.bytes)
                }
                """),
        Snippet(
            name: "push that receives", reason: "value of type 'Push' has no member 'receive'",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    var push = try Push(context)
                    var buffer = ReceiveBuffer()
                    _ = try push.receive(into: &buffer)
                }
                """),
        Snippet(
            name: "pull that subscribes", reason: "value of type 'Pull' has no member 'subscribe'",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    var pull = try Pull(context)
                    try pull.subscribe(to: payload)
                }
                """),
        Snippet(
            name: "plain publisher asked for its subscribers",
            reason: "value of type 'Publisher' has no member 'nextSubscription'",
            source: """
                func wrong(_ context: Context) throws(ZeroMQError) {
                    var publisher = try Publisher(context)
                    _ = try publisher.nextSubscription()
                }
                """),
        Snippet(
            name: "bytes used after the next receive", reason: "overlapping accesses to 'buffer'",
            source: """
                func wrong(_ pull: inout Pull) throws(ZeroMQError) {
                    var buffer = ReceiveBuffer()
                    guard let first = try pull.receive(into: &buffer) else { return }
                    guard let second = try pull.receive(into: &buffer) else { return }
                    use(first)
                    use(second)
                }
                """),
        Snippet(
            name: "bytes that outlive their buffer", reason: "lifetime-dependent variable 'bytes' escapes its scope",
            source: """
                func wrong(_ pull: inout Pull) throws(ZeroMQError) {
                    var bytes = RawSpan()
                    do {
                        var buffer = ReceiveBuffer()
                        if let received = try pull.receive(into: &buffer) { bytes = received }
                    }
                    use(bytes)
                }
                """),
        Snippet(
            name: "send whose answer is not looked at", reason: "result of call to 'send' is unused",
            source: """
                func wrong(_ push: inout Push) throws(ZeroMQError) {
                    try push.send(payload.span.bytes)
                }
                """),
        Snippet(
            name: "error of another type", reason: "cannot be converted to error type 'ZeroMQError'",
            source: """
                struct Other: Error {}
                func wrong(_ push: inout Push) throws(ZeroMQError) {
                    _ = try push.send(payload.span.bytes)
                    throw Other() as any Error
                }
                """),
    ]

    @Test func rightUseCompiles() throws {
        let result = try compile(Self.control)
        #expect(result.status == 0, "\(result.output)")
    }

    @Test(arguments: misuses)
    func misuseDoesNotCompile(misuse: Snippet) throws {
        let result = try compile(misuse.source)
        #expect(result.status == 1, "it compiled")
        #expect(result.output.contains(misuse.reason), "\(result.output)")
    }

    /// Runs the compiler up to and including its ownership, lifetime and isolation checks, against the module under test.
    private func compile(_ source: String) throws -> (status: Int32, output: String) {
        let products = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            .deletingLastPathComponent()
        let modules = products.appendingPathComponent("Modules")
        try #require(
            FileManager.default.fileExists(atPath: modules.appendingPathComponent("ZeroMQ.swiftmodule").path),
            "no ZeroMQ.swiftmodule in \(modules.path): the layout of the build directory has changed")
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let directory = TemporaryDirectory()
        let file = directory.path + "/snippet.swift"
        try (Self.prelude + source + "\n").write(toFile: file, atomically: false, encoding: .utf8)

        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "timeout", "600", "swiftc", "-swift-version", "6", "-warnings-as-errors", "-parse-as-library", "-emit-sil",
            "-o", "/dev/null", "-I", modules.path, "-Xcc",
            "-fmodule-map-file=\(package.path)/Sources/CZeroMQ/module.modulemap", "-module-cache-path",
            products.appendingPathComponent("ModuleCache").path, file,
        ]
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }
}
