import CLinux
import Glibc
import Journal
import Wire

/// The supervisor's side of the keyring, `<run>/keyring`: makes the file, makes keys, retires them, and opens the
/// descriptor that agents get. One writer: whoever holds the run directory's lock. Not thread-safe.
///
/// The file survives the supervisor, so that what is in flight while it is away stays good. It does not survive a boot:
/// the keys of an earlier one are erased when it is opened.
public final class KeyringFile {
    public static let fileName = "keyring"

    /// What `rotate` came to.
    public enum Rotation: Equatable, Sendable {
        case rotated(keyID: UInt64)
        /// Too many keys must still verify; the current one signs on until then, or later.
        case deferred(until: Instant)
    }

    public let path: String
    /// For agents: through this descriptor the page can be mapped for reading and not for writing. It stays open, and this
    /// object's, so that a file that is removed meanwhile takes no agent its keys.
    public let readOnlyDescriptor: Int32
    private let memory: UnsafeMutableRawPointer
    private var rotation: KeyRotation

    private var page: KeyringPageReader { KeyringPageReader(memory: memory) }

    /// Opens the file, or makes it with a first key. Throws `AuthorityError` for a file that others could have read or
    /// written, and for one that is no keyring.
    public convenience init(path: String, at now: Instant) throws {
        try self.init(path: path, at: now, bootID: .current)
    }

    init(path: String, at now: Instant, bootID: BootID) throws {
        self.path = path
        let descriptor = try Self.open(path) ?? Self.create(path, bootID)
        defer { close(descriptor) }
        let flags = PROT_READ | PROT_WRITE
        let start = mmap(nil, KeyringPage.byteCount, flags, MAP_SHARED, descriptor, 0)
        guard let start, start != MAP_FAILED else { throw AuthorityError.call("mmap", path) }
        do {
            readOnlyDescriptor = try Self.reopen(descriptor, path)
        } catch {
            munmap(start, KeyringPage.byteCount)
            throw error
        }
        _ = madvise(start, KeyringPage.byteCount, MADV_DONTDUMP)
        memory = start
        let page = KeyringPageReader(memory: start)
        rotation = KeyRotation(
            slots: (0..<KeyringPage.slotCount).map(page.slot), current: page.word(.current))
        guard page.word(.magic) == KeyringPage.magic else {
            throw AuthorityError(
                "\(path) is no keyring of this version; stop the fleet and remove it: a new one is made at the next "
                    + "start, and orders in flight are then refused")
        }
        if BootID(high: page.word(.bootHigh), low: page.word(.bootLow)) != bootID {
            carryOut(rotation.forgetAll())
            store(bootID.high, .bootHigh)
            store(bootID.low, .bootLow)
        }
        carryOut(rotation.repair(at: now))
        if !rotation.slots.contains(where: { $0.keyID != 0 && $0.keyID == rotation.current }) { _ = rotate(at: now) }
    }

    deinit {
        munmap(memory, KeyringPage.byteCount)
        close(readOnlyDescriptor)
    }

    /// Makes a new key, with which every signer signs from now on.
    @discardableResult
    public func rotate(at now: Instant) -> Rotation {
        switch rotation.rotate(at: now) {
        case .rotated(let steps, let keyID):
            carryOut(steps)
            return .rotated(keyID: keyID)
        case .deferred(let until): return .deferred(until: until)
        }
    }

    public var currentKeyID: UInt64 { rotation.current }

    // MARK: - Steps

    private func carryOut(_ steps: [KeyRotation.Step]) {
        guard !steps.isEmpty else { return }
        for step in steps { carryOut(step) }
        store(page.word(.generation) &+ 1, .generation)
    }

    private func carryOut(_ step: KeyRotation.Step) {
        switch step {
        case .erase(let slot):
            store(0, .keyID, slot: slot)
            qp_wipe(memory + KeyringPage.slotAt(slot), 64)
        case .make(let slot, let keyID, let madeAt):
            store(UInt64(bitPattern: madeAt.nanoseconds), .madeAt, slot: slot)
            store(UInt64(bitPattern: KeyRotation.Slot.never.nanoseconds), .verifiesUntil, slot: slot)
            // The kernel's random numbers (getrandom(2)).
            var random = SystemRandomNumberGenerator()
            for offset in stride(from: 0, to: KeyringPage.keyByteCount, by: 8) {
                memory.storeBytes(
                    of: random.next(), toByteOffset: KeyringPage.slotAt(slot) + KeyringPage.keyOffset + offset,
                    as: UInt64.self)
            }
            store(keyID, .keyID, slot: slot)
        case .setCurrent(let keyID): store(keyID, .current)
        case .retire(let slot, let until):
            store(UInt64(bitPattern: until.nanoseconds), .verifiesUntil, slot: slot)
        }
    }

    private func store(_ value: UInt64, _ word: KeyringPage.Word) { qp_store_release(memory + word.rawValue, value) }

    private func store(_ value: UInt64, _ word: KeyringPage.SlotWord, slot: Int) {
        qp_store_release(memory + KeyringPage.slotAt(slot) + word.rawValue, value)
    }

    // MARK: - The file

    /// nil: there is none yet.
    private static func open(_ path: String) throws -> Int32? {
        let descriptor = Glibc.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            if errno == ELOOP { throw AuthorityError("\(path) is a symbolic link; remove it: keys are kept in a file") }
            throw AuthorityError.call("open", path)
        }
        do {
            try check(descriptor, path)
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    private static func check(_ descriptor: Int32, _ path: String) throws {
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw AuthorityError.call("stat", path) }
        let replace = "stop the fleet and remove it: a new one is made at the next start"
        guard info.st_mode & S_IFMT == S_IFREG, info.st_nlink == 1 else {
            throw AuthorityError("\(path) is not a file of its own (links: \(info.st_nlink)); \(replace)")
        }
        guard info.st_uid == geteuid() else { throw AuthorityError("\(path) belongs to another user; \(replace)") }
        guard info.st_mode & 0o077 == 0 else {
            let mode = String(info.st_mode & 0o777, radix: 8)
            throw AuthorityError("\(path) is open to other users (mode \(mode)), who may know the keys; \(replace)")
        }
        guard info.st_size == KeyringPage.byteCount else {
            throw AuthorityError("\(path) has \(info.st_size) bytes, not \(KeyringPage.byteCount); \(replace)")
        }
    }

    /// The same file for reading only.
    private static func reopen(_ writable: Int32, _ path: String) throws -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw AuthorityError.call("open", path) }
        var one = stat()
        var other = stat()
        guard fstat(writable, &one) == 0, fstat(descriptor, &other) == 0, one.st_ino == other.st_ino,
            one.st_dev == other.st_dev
        else {
            close(descriptor)
            throw AuthorityError("\(path) was replaced while it was opened; start again")
        }
        return descriptor
    }

    /// Whole or not at all: it gets its name when it is complete.
    private static func create(_ path: String, _ bootID: BootID) throws -> Int32 {
        let fresh = path + ".new"
        unlink(fresh)
        let descriptor = Glibc.open(fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw AuthorityError.call("create", fresh) }
        // Reserved, not sparse: a full disk is an error here and not a SIGBUS later.
        errno = posix_fallocate(descriptor, 0, off_t(KeyringPage.byteCount))
        let head = [KeyringPage.magic, 0, 0, bootID.high, bootID.low]
        let written = errno == 0 ? head.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) } : -1
        guard written == head.count * 8, rename(fresh, path) == 0 else {
            let error = AuthorityError.call("write", fresh)
            close(descriptor)
            unlink(fresh)
            throw error
        }
        return descriptor
    }
}
