import CLinux
import Wire

/// Checksums of the messages that were taken last from one source: a repetition of one of them must be the same. If it is
/// not, someone else speaks in that source's name, and a message may have been lost to it.
struct PayloadMarks {
    /// Messages remembered; a sender repeats at most its window.
    static let count = 4_096

    private var marks: [(number: UInt64, crc: UInt32)] = []

    mutating func note(_ frame: UnsafeRawBufferPointer, number: UInt64) {
        if marks.isEmpty { marks = Array(repeating: (0, 0), count: Self.count) }
        marks[Self.place(number)] = (number, Self.crc(frame))
    }

    /// Whether another payload was noted under this number; false for one that is not remembered.
    func differs(_ frame: UnsafeRawBufferPointer, number: UInt64) -> Bool {
        guard !marks.isEmpty, marks[Self.place(number)].number == number else { return false }
        return marks[Self.place(number)].crc != Self.crc(frame)
    }

    private static func place(_ number: UInt64) -> Int { Int(number % UInt64(count)) }

    /// Of the payload: the header's incarnation changes when a message is sent again.
    private static func crc(_ frame: UnsafeRawBufferPointer) -> UInt32 {
        let payload = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
        return qp_crc32c(0, payload.baseAddress, payload.count)
    }
}
