import Foundation
import Journal

/// A journal with durability `power` beside what it stands on: the same bytes written with `pwrite` and `fdatasync` into a
/// file whose blocks are allocated, on the same disk, the two in turn.
struct DiskBench {
    static let batches = [1, 32]
    /// Syncs of each kind and batch size; the first tenth is warm-up.
    static let syncs = 1_000
    /// A message's frame and what a journal adds to it.
    static let recordBytes = 200

    /// Any folder on the disk that is meant.
    let directory: String

    func measure() throws -> String {
        var template = Array("\(directory)/qp-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError(description: "no folder in \(directory)") }
        let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var lines = ["One sync of records of \(Self.recordBytes) bytes (µs)"]
        for batch in Self.batches {
            let times = try measure(batch: batch, folder: "\(folder)/\(batch)")
            lines.append(row("\(batch) a sync", "p50", 0.5, times, batch))
            lines.append(row("", "p99", 0.99, times, batch))
        }
        return lines.joined(separator: "\n")
    }

    private func row(
        _ title: String, _ figure: String, _ share: Double, _ times: (bare: [Double], journal: [Double]), _ batch: Int
    ) -> String {
        let (bare, journal) = (quantile(share, of: times.bare), quantile(share, of: times.journal))
        return "  \(pad(title, 12)) \(figure) bare fdatasync \(pad(text(bare), 10)) journal \(pad(text(journal), 10)) "
            + "ratio \(String(format: "%.2f", journal / bare)), \(text(journal / Double(batch))) a record"
    }

    private func text(_ microseconds: Double) -> String { String(format: "%.1f", microseconds) }

    private func measure(batch: Int, folder: String) throws -> (bare: [Double], journal: [Double]) {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let journal = try JournalWriter(
            directory: "\(folder)/journal", identity: "Bench", epoch: 1, options: JournalOptions(durability: .power))
        let bare = try BareFile("\(folder)/bare", bytes: (Self.syncs + 1) * batch * Self.recordBytes)
        let record = [UInt8](repeating: 0x5A, count: Self.recordBytes)
        var times: (bare: [Double], journal: [Double]) = ([], [])
        for round in 0..<Self.syncs {
            let start = monotonicNs()
            for _ in 0..<batch { try bare.append(record) }
            try bare.sync()
            let middle = monotonicNs()
            for _ in 0..<batch { _ = try record.withUnsafeBytes { try journal.append(.sentFrame, $0) } }
            try journal.sync()
            let end = monotonicNs()
            // As a shell does before it sleeps.
            journal.prepareAhead()
            guard round >= Self.syncs / 10 else { continue }
            times.bare.append(Double(middle - start) / 1_000)
            times.journal.append(Double(end - middle) / 1_000)
        }
        try journal.close()
        return times
    }
}

/// What anybody would write without a journal.
private final class BareFile {
    private let descriptor: Int32
    private var offset = 0

    init(_ path: String, bytes: Int) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0, posix_fallocate(descriptor, 0, bytes) == 0, fsync(descriptor) == 0 else {
            throw BenchError(description: "\(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        close(descriptor)
    }

    func append(_ record: [UInt8]) throws {
        guard pwrite(descriptor, record, record.count, offset) == record.count else {
            throw BenchError(description: "pwrite: \(String(cString: strerror(errno)))")
        }
        offset += record.count
    }

    func sync() throws {
        guard fdatasync(descriptor) == 0 else {
            throw BenchError(description: "fdatasync: \(String(cString: strerror(errno)))")
        }
    }
}
