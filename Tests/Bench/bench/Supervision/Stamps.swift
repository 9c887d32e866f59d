import Foundation

/// The first instructions of `stamp` agents, as they report them over a FIFO.
final class Stamps {
    struct Stamp {
        var number: Int
        var pid: pid_t
        /// CLOCK_MONOTONIC, nanoseconds.
        var at: Int64
    }

    static let recordBytes = 16

    let path: String
    private let descriptor: Int32
    /// First instructions seen, by number.
    private(set) var counts: [Int: Int] = [:]
    /// By number: the newest incarnation.
    private(set) var latest: [Int: Stamp] = [:]

    init(path: String) throws {
        self.path = path
        // Read and write: an end of file when the last agent goes would only be in the way.
        guard mkfifo(path, 0o600) == 0, case let descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC),
            descriptor >= 0
        else { throw BenchError(description: "no FIFO at \(path): \(String(cString: strerror(errno)))") }
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// The next record; nil when none came within `seconds`.
    func next(within seconds: Double) -> Stamp? {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        var bytes = [UInt8](repeating: 0, count: Self.recordBytes)
        guard poll(&wait, 1, Int32(seconds * 1_000)) == 1, read(descriptor, &bytes, bytes.count) == bytes.count else {
            return nil
        }
        let stamp = bytes.withUnsafeBytes {
            Stamp(
                number: Int($0.load(fromByteOffset: 0, as: Int32.self)),
                pid: $0.load(fromByteOffset: 4, as: Int32.self),
                at: $0.load(fromByteOffset: 8, as: Int64.self))
        }
        latest[stamp.number] = stamp
        counts[stamp.number, default: 0] += 1
        return stamp
    }

    /// Takes what has come meanwhile, so that no agent finds the pipe full.
    func drain() {
        while next(within: 0) != nil {}
    }

    /// Waits until each of `numbers` has reported an incarnation begun after `instant`; returns these by number.
    func all(_ numbers: Range<Int>, after instant: Int64, within seconds: Double) throws -> [Int: Stamp] {
        var seen: [Int: Stamp] = [:]
        let end = monotonic() + Int64(seconds * 1e9)
        while seen.count < numbers.count {
            let left = Double(end - monotonic()) / 1e9
            guard left > 0, let stamp = next(within: left) else {
                throw BenchError(description: "only \(seen.count) of \(numbers.count) agents came within \(seconds) s")
            }
            if numbers.contains(stamp.number), stamp.at > instant { seen[stamp.number] = stamp }
        }
        return seen
    }
}

/// CLOCK_MONOTONIC, nanoseconds.
func monotonic() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}
