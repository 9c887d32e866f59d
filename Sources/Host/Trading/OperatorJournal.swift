import Foundation
import Journal
import Wire

/// The record of operators' commands, a journal of its own in `<run>/operator`. Opened when something is first written;
/// a writer that has failed is given up, and the next entry tries anew. Belongs to the loop's thread.
final class OperatorJournal {
    /// Nobody else may have this name: it is the supervisor's own journal.
    static let identity = OperatorPort.agent
    static let segmentBytes = 64 << 10
    /// Older segments go when this much is kept: 10,000 commands or so.
    static let maxTotalBytes = 8 << 20
    /// The run directory's lock says who writes; there is nobody to be fenced off.
    private static let epoch: UInt64 = 1

    let directory: String
    private let maxTotalBytes: Int
    private var writer: JournalWriter?

    init(directory: String, maxTotalBytes: Int = OperatorJournal.maxTotalBytes) {
        self.directory = directory
        self.maxTotalBytes = maxTotalBytes
    }

    /// What is on record, oldest first; nothing where there is no record.
    func read(_ take: (OperatorEntry) -> Void) throws {
        var reader = JournalReader(directory: directory, identity: Self.identity)
        while let record = try reader.next() {
            guard record.type == .operation else { continue }
            do {
                take(try OperatorEntry(bytes: record.payload))
            } catch {
                throw Unreadable(description: "\(directory): record \(record.sequence) does not decode: \(error)")
            }
        }
    }

    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    /// Writes entries. `carried`: what has to stay known, written first in a new segment, so that older ones can go.
    func write(_ entries: [OperatorEntry], carrying carried: () -> [OperatorEntry]) throws {
        do {
            try append(entries, carried)
        } catch {
            // A full journal can drop what a new segment repeats; a disk may have room again.
            writer = nil
            do {
                try append(entries, carried)
            } catch {
                writer = nil
                throw error
            }
        }
    }

    private func append(_ entries: [OperatorEntry], _ carried: () -> [OperatorEntry]) throws {
        let writer = try self.writer ?? open(carried())
        self.writer = writer
        for entry in entries {
            _ = try entry.bytes.withUnsafeBytes { try writer.append(.operation, $0) }
        }
    }

    private func open(_ carried: [OperatorEntry]) throws -> JournalWriter {
        let writer = try JournalWriter(
            directory: directory, identity: Self.identity, epoch: Self.epoch,
            options: JournalOptions(
                durability: .process, retention: .untilTrimmed, segmentBytes: Self.segmentBytes,
                maxTotalBytes: maxTotalBytes))
        let before = writer.lastSequence
        writer.trim(upTo: before)
        for entry in carried {
            _ = try entry.bytes.withUnsafeBytes { try writer.append(.operation, $0) }
        }
        return writer
    }

    func close() {
        try? writer?.close()
        writer = nil
    }
}
