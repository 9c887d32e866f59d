import Glibc
import Testing
import ZeroMQ

/// Binding: whose endpoint it is, and how it survives the replacement of a process.
@Suite struct ListenerTests {
    let directory = TemporaryDirectory()

    @Test func aLiveEndpointIsNotStolen() throws {
        let endpoint = try directory.ipc("e")
        let context = try Context()
        var first = try Pull(context, patient())
        try first.bind(to: endpoint)
        var thief = try Pull(Context(), patient())
        let error = #expect(throws: ZeroMQError.self) { try thief.bind(to: endpoint) }
        #expect(error?.code == .endpointInUse)
        #expect(error?.description.contains(endpoint.description) == true)
        var push = try Push(context, patient())
        try push.connect(to: endpoint)
        #expect(try push.sendWaiting([1]))
        var buffer = ReceiveBuffer()
        #expect(try first.next(&buffer) == [1])
    }

    @Test func aFileLeftBehindIsReplaced() throws {
        let endpoint = try directory.ipc("stale")
        Glibc.close(try listen(at: endpoint.address))
        #expect(access(endpoint.address, F_OK) == 0)
        var pull = try Pull(Context(), patient())
        // What other tests start holds the listener for a moment, from fork to exec.
        try eventually("nobody listens there") { (try? pull.bind(to: endpoint)) != nil }
        var status = stat()
        #expect(stat(endpoint.address, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func bindingWhereThereIsNoDirectorySaysSo() throws {
        var pull = try Pull(Context())
        let endpoint = try Endpoint.ipc(path: directory.path + "/missing/e")
        let error = #expect(throws: ZeroMQError.self) { try pull.bind(to: endpoint) }
        #expect(error?.errno == ENOENT)
        #expect(error?.description.contains("create the directory") == true)
    }

    @Test func aTakenTCPPortSaysSo() throws {
        let context = try Context()
        var first = try Pull(context)
        try first.bind(to: Endpoint("tcp://127.0.0.1:0"))
        let last = first.lastEndpoint
        let taken = try Endpoint(#require(last))
        var second = try Pull(context)
        let error = #expect(throws: ZeroMQError.self) { try second.bind(to: taken) }
        #expect(error?.code == .endpointInUse)
    }

    /// The supervisor's trick: the listener outlives its process, so that peers are never refused.
    @Test func aGivenDescriptorOutlivesItsSockets() throws {
        let endpoint = try directory.ipc("given")
        let listener = try listen(at: endpoint.address)
        defer { Glibc.close(listener) }
        let context = try Context()
        // Connects while nobody accepts: the kernel queues it.
        var push = try Push(context, patient())
        try push.connect(to: endpoint)
        var buffer = ReceiveBuffer()
        for round in 0..<5 {
            var pull = try Pull(context, patient())
            try pull.bind(to: endpoint, listeningOn: listener)
            #expect(access(endpoint.address, F_OK) == 0, "binding must not unlink the path")
            #expect(try push.sendWaiting([UInt8(round)]))
            #expect(try pull.next(&buffer) == [UInt8(round)])
            pull.close()
            #expect(fcntl(listener, F_GETFD) >= 0, "the caller keeps its descriptor")
            // A message sent before the sender notices the end would be lost with the old connection.
            try eventually("the sender sees the connection end") {
                try !push.readiness.contains(.writable) || accepts(listener)
            }
        }
    }

    @Test func aSecondBindDoesNotReuseTheDescriptor() throws {
        let listener = try listen(at: directory.ipc("a").address)
        defer { Glibc.close(listener) }
        let context = try Context()
        var pull = try Pull(context, patient())
        try pull.bind(to: directory.ipc("a"), listeningOn: listener)
        try pull.bind(to: directory.ipc("b"))
        var buffer = ReceiveBuffer()
        for name in ["a", "b"] {
            var push = try Push(context, patient())
            try push.connect(to: directory.ipc(name))
            #expect(try push.sendWaiting([1]))
            #expect(try pull.next(&buffer) == [1])
        }
    }

    @Test func aTCPListenerCanBeGivenToo() throws {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                #expect(Glibc.bind(listener, $0, size) == 0)
                #expect(getsockname(listener, $0, &size) == 0)
            }
        }
        #expect(Glibc.listen(listener, 8) == 0)
        let endpoint = try Endpoint("tcp://127.0.0.1:\(UInt16(bigEndian: address.sin_port))")
        let context = try Context()
        var pull = try Pull(context, patient())
        try pull.bind(to: endpoint, listeningOn: listener)
        var push = try Push(context, patient())
        try push.connect(to: endpoint)
        #expect(try push.sendWaiting([1]))
        var buffer = ReceiveBuffer()
        #expect(try pull.next(&buffer) == [1])
    }

    /// libzmq would abort the process on most of these.
    @Test func whatIsNoListenerIsRefused() throws {
        let endpoint = try directory.ipc("x")
        let context = try Context()
        let notListening = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        let file = open("/dev/null", O_RDONLY)
        let listener = try listen(at: directory.ipc("l").address)
        defer { for descriptor in [notListening, file, listener] { Glibc.close(descriptor) } }
        let cases: [(CInt, Endpoint, String)] = [
            (-1, endpoint, "EBADF"), (9_999, endpoint, "EBADF"), (file, endpoint, "no socket"),
            (notListening, endpoint, "does not listen"),
            (listener, try Endpoint("tcp://127.0.0.1:0"), "not a socket for tcp"),
            (listener, try .inproc("x"), "inproc"),
        ]
        for (number, (descriptor, endpoint, words)) in cases.enumerated() {
            var pull = try Pull(context)
            let error = #expect(throws: ZeroMQError.self) { try pull.bind(to: endpoint, listeningOn: descriptor) }
            #expect(error?.code == .notAListener)
            #expect(error?.description.contains(words) == true, "\(String(describing: error))")
            // The socket is as before.
            try pull.bind(to: .inproc("still-usable-\(number)"))
        }
    }

    private func accepts(_ listener: CInt) -> Bool {
        var poll = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&poll, 1, 0) == 1
    }
}

/// A listening Unix socket, as the supervisor makes them.
func listen(at path: String) throws -> CInt {
    let listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    try #require(listener >= 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            Glibc.bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    try #require(bound == 0)
    try #require(Glibc.listen(listener, 16) == 0)
    return listener
}
