extension ConfigurationRecord {
    /// What was read, without the disk it was read from: for whoever starts after this process has died.
    public struct Content: Sendable, Hashable {
        var files: [String: Result<[UInt8], ConfigurationSourceError>] = [:]
        var directories: [String: Result<[DirectoryEntry], ConfigurationSourceError>] = [:]
        var programs: [String: ExecutableCheck] = [:]
    }

    public var content: Content { Content(files: files, directories: directories, programs: programs) }
}

extension ConfigurationRecord.Content {
    public func write(to writer: inout LengthPrefixedWriter) {
        writer.number(files.count)
        for (path, file) in files.sorted(by: { $0.key < $1.key }) {
            writer.text(path)
            writer.write(file) { $0.blob($1) }
        }
        writer.number(directories.count)
        for (path, directory) in directories.sorted(by: { $0.key < $1.key }) {
            writer.text(path)
            writer.write(directory) { writer, entries in
                writer.number(entries.count)
                for entry in entries {
                    writer.text(entry.name)
                    writer.number(DirectoryEntry.Kind.order.firstIndex(of: entry.kind) ?? 0)
                }
            }
        }
        writer.number(programs.count)
        for (path, check) in programs.sorted(by: { $0.key < $1.key }) {
            writer.text(path)
            if case .wrongFormat(let format) = check {
                writer.number(ExecutableCheck.order.count)
                writer.text(format)
            } else {
                writer.number(ExecutableCheck.order.firstIndex(of: check) ?? 0)
            }
        }
    }

    public init(_ reader: inout LengthPrefixedReader) throws(LengthPrefixedReader.Damaged) {
        for _ in 0..<(try reader.number()) {
            let path = try reader.text()
            files[path] = try reader.result { (reader) throws(LengthPrefixedReader.Damaged) in try reader.blob() }
        }
        for _ in 0..<(try reader.number()) {
            let path = try reader.text()
            directories[path] = try reader.result { (reader) throws(LengthPrefixedReader.Damaged) in
                var entries: [DirectoryEntry] = []
                for _ in 0..<(try reader.number()) {
                    let name = try reader.text()
                    entries.append(DirectoryEntry(name: name, kind: try reader.choice(of: DirectoryEntry.Kind.order)))
                }
                return entries
            }
        }
        for _ in 0..<(try reader.number()) {
            let path = try reader.text()
            let number = try reader.number()
            if number == ExecutableCheck.order.count {
                programs[path] = .wrongFormat(try reader.text())
            } else if ExecutableCheck.order.indices.contains(number) {
                programs[path] = ExecutableCheck.order[number]
            } else {
                throw LengthPrefixedReader.Damaged()
            }
        }
    }
}

extension DirectoryEntry.Kind {
    fileprivate static let order: [Self] = [
        .directory, .executableFile, .programWithoutPermission, .other, .plainFile,
    ]
}

extension ExecutableCheck {
    /// Those without a text of their own.
    fileprivate static let order: [Self] = [.executable, .missing, .notExecutable, .isDirectory]
}

extension ConfigurationSourceError {
    /// Those without a text of their own.
    fileprivate static let order: [Self] = [.notFound, .notPermitted, .isDirectory, .tooLarge]
}

extension LengthPrefixedWriter {
    /// 0 and the value, or the number of the error from 1 on; the last has a text.
    fileprivate mutating func write<Value>(
        _ result: Result<Value, ConfigurationSourceError>, _ body: (inout Self, Value) -> Void
    ) {
        switch result {
        case .success(let value):
            number(0)
            body(&self, value)
        case .failure(.other(let reason)):
            number(1 + ConfigurationSourceError.order.count)
            text(reason)
        case .failure(let error): number(1 + (ConfigurationSourceError.order.firstIndex(of: error) ?? 0))
        }
    }
}

extension LengthPrefixedReader {
    fileprivate mutating func result<Value>(
        _ body: (inout Self) throws(Damaged) -> Value
    ) throws(Damaged) -> Result<Value, ConfigurationSourceError> {
        let number = try number()
        if number == 0 { return .success(try body(&self)) }
        if number == 1 + ConfigurationSourceError.order.count { return .failure(.other(try text())) }
        guard ConfigurationSourceError.order.indices.contains(number - 1) else { throw Damaged() }
        return .failure(ConfigurationSourceError.order[number - 1])
    }

    fileprivate mutating func choice<Value>(of order: [Value]) throws(Damaged) -> Value {
        let number = try number()
        guard order.indices.contains(number) else { throw Damaged() }
        return order[number]
    }
}
