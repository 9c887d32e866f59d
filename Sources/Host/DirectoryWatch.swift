import CLinux
import Foundation

/// inotify(7) on folders: names what changed in which of them. Belongs to the loop's thread.
final class DirectoryWatch {
    struct Happening {
        /// What `add` returned; -1 when the kernel's queue overflowed.
        let watch: Int32
        let mask: UInt32
        /// The entry of the folder; empty when it is about the folder itself.
        let name: String

        func has(_ bits: Int32...) -> Bool { bits.contains { mask & UInt32($0) != 0 } }
    }

    /// Bytes of happenings taken in one go, so that a flood leaves the others their turn.
    static let bytesPerTurn = 64 * 1024
    static let mask = UInt32(
        IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF
            | IN_MOVE_SELF | IN_EXCL_UNLINK)
    /// Only what names are in the folder.
    static let namesMask = UInt32(
        IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

    private let descriptor: Descriptor
    private let mask: UInt32
    private let loop: EventLoop
    private var source: EventLoop.Source?
    private let receive: (Happening) -> Void

    init(loop: EventLoop, mask: UInt32 = DirectoryWatch.mask, receive: @escaping (Happening) -> Void) throws {
        self.mask = mask
        self.loop = loop
        self.receive = receive
        descriptor = Descriptor(try check(inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC)), "inotify_init1"))
        source = try loop.add(descriptor.raw, .readable) { [weak self] _ in self?.read() }
    }

    /// Watches a folder; the same folder twice is the same watch.
    func add(_ path: String, _ mask: UInt32? = nil) throws -> Int32 {
        let mask = mask ?? self.mask
        return try check(inotify_add_watch(descriptor.raw, path, mask | UInt32(IN_ONLYDIR)), "inotify_add_watch", path)
    }

    func remove(_ watch: Int32) { _ = inotify_rm_watch(descriptor.raw, watch) }

    func close() {
        if let source { loop.remove(source) }
        source = nil
        descriptor.close()
    }

    private func read() {
        var happenings: [Happening] = []
        withUnsafeTemporaryAllocation(
            byteCount: Self.bytesPerTurn, alignment: MemoryLayout<inotify_event>.alignment
        ) { buffer in
            let count = retryingInterrupts { Glibc.read(descriptor.raw, buffer.baseAddress, buffer.count) }
            var at = 0
            while at + MemoryLayout<inotify_event>.size <= count {
                let event = buffer.load(fromByteOffset: at, as: inotify_event.self)
                at += MemoryLayout<inotify_event>.size
                // Padded with zeros to a multiple of the alignment.
                let name = buffer[at..<at + Int(event.len)].prefix { $0 != 0 }
                happenings.append(
                    Happening(watch: event.wd, mask: event.mask, name: String(decoding: name, as: UTF8.self)))
                at += Int(event.len)
            }
        }
        for happening in happenings { receive(happening) }
    }
}
