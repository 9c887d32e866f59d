import Testing
import ZeroMQ

@Suite struct EndpointTests {
    @Test(arguments: [
        "ipc:///tmp/a", "ipc://relative/path", "ipc://@abstract", "inproc://a", "inproc://a/b c",
        "tcp://127.0.0.1:5555",
        "tcp://127.1.2.3:0", "tcp://127.0.0.1:65535",
    ])
    func wellFormedOnesKeepTheirText(text: String) throws {
        #expect(try Endpoint(text).description == text)
    }

    @Test(arguments: [
        "", "ipc", "ipc:", "ipc:/", "ipc://", "ipc://@", "ipc://*", "inproc://", "IPC:///tmp/a", "udp://127.0.0.1:1",
        "pgm://eth0;239.192.1.1:5555", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1", "tcp://127.0.0.1:x", "tcp://*:5555", "tcp://0.0.0.0:1", "tcp://10.0.0.1:1",
        "tcp://localhost:1",
        "tcp://[::1]:1", "tcp://127.0.0:1", "tcp://127.0.0.256:1", "tcp://127.0.0.1:1:2", "tcp://eth0;127.0.0.1:1",
        "ipc:///tmp/a\0b", "inproc://a\0",
    ])
    func malformedOnesAreRefusedWithTheirText(text: String) {
        let error = #expect(throws: ZeroMQError.self) { try Endpoint(text) }
        #expect(error?.code == .invalidEndpoint)
        #expect(error?.description.contains("\"\(text)\"") == true)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func pathOf107BytesIsUsableAndOneOf108SaysItsLength() throws {
        let directory = TemporaryDirectory()
        let room = Endpoint.maximumPathBytes - directory.path.utf8.count - 1
        let fits = try directory.ipc(String(repeating: "x", count: room))
        #expect(fits.address.utf8.count == 107)
        let context = try Context()
        var pull = try Pull(context, patient())
        var push = try Push(context, patient())
        var buffer = ReceiveBuffer()
        try pull.bind(to: fits)
        try push.connect(to: fits)
        #expect(try push.sendWaiting([1]))
        #expect(try pull.next(&buffer) == [1])

        let error = #expect(throws: ZeroMQError.self) { try directory.ipc(String(repeating: "x", count: room + 1)) }
        #expect(error?.code == .invalidEndpoint)
        #expect(error?.sizeBytes == 108)
        #expect(error?.limitBytes == 107)
        #expect(error?.description.contains("the path has 108 bytes, a Unix socket's path at most 107") == true)
    }

    /// The limit is in bytes, not in characters.
    @Test func pathIsMeasuredInBytes() throws {
        let path = "/" + String(repeating: "ü", count: 53)
        #expect(path.utf8.count == 107)
        #expect(try Endpoint.ipc(path: path).address == path)
        #expect(throws: ZeroMQError.self) { try Endpoint.ipc(path: path + "u") }
    }

    @Test func inprocNamesAreBounded() throws {
        #expect(try Endpoint.inproc(String(repeating: "n", count: 255)).address.count == 255)
        let error = #expect(throws: ZeroMQError.self) { try Endpoint.inproc(String(repeating: "n", count: 256)) }
        #expect(error?.sizeBytes == 256)
    }
}
