import Foundation

@testable import Journal

/// A directory of a test's own, removed with it.
final class Scratch {
    let path: String

    init() {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func bytes(_ file: String) -> [UInt8] {
        [UInt8](FileManager.default.contents(atPath: file) ?? Data())
    }

    func write(_ bytes: [UInt8], to file: String) {
        _ = FileManager.default.createFile(atPath: file, contents: Data(bytes))
    }
}

extension JournalWriter {
    @discardableResult
    func append(_ text: String) throws(JournalError) -> UInt64 {
        let bytes = Array(text.utf8)
        let result: Result<UInt64, JournalError> = bytes.withUnsafeBytes { payload in
            do throws(JournalError) {
                return .success(try append(.sentFrame, payload))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// All records that can be read, and how the reading ended.
struct Readout {
    var records: [JournalRecord] = []
    var tornTail: TornTail?
    var error: JournalError?

    init(_ directory: String, identity: String? = nil) {
        var reader = JournalReader(directory: directory, identity: identity)
        do throws(JournalError) {
            while let record = try reader.next() { records.append(record) }
            tornTail = reader.tornTail
        } catch {
            self.error = error
        }
    }

    var texts: [String] { records.map { String(decoding: $0.payload, as: UTF8.self) } }
}
