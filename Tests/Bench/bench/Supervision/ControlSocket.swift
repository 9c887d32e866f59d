import Foundation

/// A connection to this supervisor's control socket: one question, one answer, each a line of JSON.
final class ControlSocket {
    private let descriptor: Int32
    private var rest: [UInt8] = []

    /// nil: nobody listens there (yet).
    init?(path: String) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard result == 0 else { return nil }
    }

    deinit {
        close(descriptor)
    }

    /// The result; nil when the connection ended first.
    func ask(_ method: String, _ parameters: String = "{}") -> [String: Any]? {
        let line = Array(#"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(parameters)}"#.utf8) + [10]
        guard send(descriptor, line, line.count, Int32(MSG_NOSIGNAL)) == line.count else { return nil }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let end = rest.firstIndex(of: 10) {
                let answer = Data(rest[..<end])
                rest.removeFirst(end + 1)
                return (try? JSONSerialization.jsonObject(with: answer) as? [String: Any])?["result"] as? [String: Any]
            }
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return nil }
            rest += chunk[..<count]
        }
    }

    /// Connects and asks until there is an answer that is accepted, each millisecond.
    static func firstAnswer(
        path: String, _ method: String, seconds: Double, accepts: ([String: Any]) -> Bool = { _ in true }
    ) throws -> [String: Any] {
        let end = monotonic() + Int64(seconds * 1e9)
        while monotonic() < end {
            if let answer = ControlSocket(path: path)?.ask(method), accepts(answer) { return answer }
            usleep(1_000)
        }
        throw BenchError(description: "no such answer from \(path) within \(seconds) s")
    }
}
