import FoundationEssentials

/// Real data beside the repository, for the tests of the agents that sense. Absent from a plain clone.
enum SenseData {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let folder = root.appending(path: "../shared/data").standardized.path

    static func path(_ name: String) -> String { "\(folder)/\(name)" }
    static func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    /// The folder of an agent in this repository.
    static func agentFolder(_ name: String) -> String { root.appending(path: "agents/\(name)").path }

    static func bytes(_ name: String) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: URL(filePath: path(name))))
    }

    /// Fields of a delimited file, quotes as in RFC 4180; the first record is the header.
    static func records(_ name: String, separator: UInt8 = UInt8(ascii: ",")) throws -> [[String]] {
        var records: [[String]] = []
        var record: [String] = []
        var field: [UInt8] = []
        var isQuoted = false
        let bytes = try bytes(name)
        var index = 0
        func text() -> String { String(decoding: field, as: UTF8.self) }
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if isQuoted {
                if byte != UInt8(ascii: "\"") {
                    field.append(byte)
                } else if index < bytes.count, bytes[index] == byte {
                    field.append(byte)
                    index += 1
                } else {
                    isQuoted = false
                }
            } else if byte == UInt8(ascii: "\"") {
                isQuoted = true
            } else if byte == separator {
                record.append(text())
                field = []
            } else if byte == UInt8(ascii: "\n") {
                record.append(text())
                records.append(record)
                (record, field) = ([], [])
            } else if byte != UInt8(ascii: "\r") {
                field.append(byte)
            }
        }
        if !field.isEmpty || !record.isEmpty { records.append(record + [text()]) }
        return records
    }
}
