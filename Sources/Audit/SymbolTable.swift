import Glibc

/// The functions of a program, as its file names them (ELF-64, little-endian, `.symtab`; elf(5)).
public struct SymbolTable: Sendable {
    /// Larger programs are not read.
    static let maxBytes = 1 << 30

    private struct Function: Sendable {
        var start: UInt64
        var end: UInt64
        /// Offset of the name in the file.
        var name: Int
    }

    private var functions: [Function] = []
    private var file: [UInt8] = []

    /// What the frames of a crash line are, one each: a function and the offset in it, or nothing where that is not known
    /// (an address of a library, a stripped program, another build than the one that crashed).
    public static func names(of frames: [String], in path: String) -> [String] {
        guard !frames.isEmpty, let table = SymbolTable(path: path) else { return frames.map { _ in "" } }
        return frames.map { frame in
            guard frame.hasPrefix("0x"), let address = UInt64(frame.dropFirst(2), radix: 16) else { return "" }
            return table.name(of: address) ?? ""
        }
    }

    /// Nil if the file can't be read or has no symbols.
    init?(path: String) {
        guard let bytes = Self.contents(of: path), bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) else {
            return nil
        }
        file = bytes
        guard let sections = number(40, 8), let count = number(60, 2), sections + count * 64 <= bytes.count else {
            return nil
        }
        for index in 0..<count where number(sections + index * 64 + 4, 4) == 2 {
            read(section: sections + index * 64, sections)
        }
        guard !functions.isEmpty else { return nil }
        functions.sort { $0.start < $1.start }
    }

    func name(of address: UInt64) -> String? {
        // The last function that begins at or before it.
        var low = 0, high = functions.count
        while low < high {
            let middle = (low + high) / 2
            if functions[middle].start <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let function = functions[low - 1]
        guard address < function.end else { return nil }
        let name = String(decoding: file[function.name...].prefix { $0 != 0 }, as: UTF8.self)
        return "\(Self.demangled(name)) + \(address - function.start)"
    }

    private mutating func read(section: Int, _ sections: Int) {
        guard let offset = number(section + 24, 8), let size = number(section + 32, 8),
            let link = number(section + 40, 4),
            let names = number(sections + link * 64 + 24, 8), offset + size <= file.count
        else { return }
        for symbol in stride(from: offset, to: offset + size - 23, by: 24) {
            guard file[symbol + 4] & 0xF == 2, let name = number(symbol, 4), let start = number(symbol + 8, 8),
                let length = number(symbol + 16, 8), length > 0, names + name < file.count
            else { continue }
            functions.append(Function(start: UInt64(start), end: UInt64(start + length), name: names + name))
        }
    }

    /// Little-endian; nil outside the file or above what an `Int` holds.
    private func number(_ at: Int, _ bytes: Int) -> Int? {
        guard at >= 0, at + bytes <= file.count else { return nil }
        var value: UInt64 = 0
        for index in (0..<bytes).reversed() { value = value << 8 | UInt64(file[at + index]) }
        // Half of an Int: sums of two of them can't overflow.
        return value < 1 << 62 ? Int(value) : nil
    }

    private static func contents(of path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        guard size > 64, size <= maxBytes else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        var done = 0
        while done < size {
            let count = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + done, size - done, off_t(done))
            }
            guard count > 0 else { return nil }
            done += count
        }
        return bytes
    }

    private static func demangled(_ name: String) -> String {
        guard name.hasPrefix("$s"), let text = demangledByRuntime(name, UInt(name.utf8.count), nil, nil, 0) else {
            return name
        }
        defer { free(text) }
        return String(cString: text)
    }
}

/// Of the Swift runtime.
@_silgen_name("swift_demangle")
private func demangledByRuntime(
    _ name: UnsafePointer<CChar>?, _ length: UInt, _ output: UnsafeMutablePointer<CChar>?,
    _ size: UnsafeMutablePointer<UInt>?, _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?
