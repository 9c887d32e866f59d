import CLinux
import Glibc

/// Who may write a journal: the incarnation that claimed it last. A claim is one word in a mapped file, not a lock: a
/// process that was stopped (SIGSTOP) holds nothing that its successor would have to wait for, and finds out with one
/// load that it was replaced.
///
/// A writer stores its record, then looks at the word (behind a full fence), then acts on the record. A successor
/// changes the word, then reads the records. So either the writer sees that it was replaced, or the successor sees the
/// record (Dekker's argument); never neither.
final class JournalClaim {
    static let fileName = "claim"
    /// Claims of one epoch that are told apart.
    private static let countBits: UInt64 = 16
    private static let fileBytes = 4_096

    private let directory: String
    private let epoch: UInt64
    private let page: UnsafeMutableRawPointer
    /// The epoch, then how often it was claimed: a writer that opens its own journal twice replaces itself. Later claims are
    /// larger.
    let word: UInt64

    /// Claims the journal in `directory` for `epoch`. Throws `.fenced` when a later epoch has it.
    init(directory: String, epoch: UInt64) throws(JournalError) {
        precondition(epoch < 1 << (64 - Self.countBits), "an epoch has at most 48 bits")
        let path = "\(directory)/\(Self.fileName)"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system("open", path) }
        defer { Glibc.close(file) }
        let code = posix_fallocate(file, 0, off_t(Self.fileBytes))
        guard code == 0 else { throw .system("allocate", path, code) }
        let memory = mmap(nil, Self.fileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let memory, memory != MAP_FAILED else { throw .system("map", path) }
        self.directory = directory
        self.epoch = epoch
        page = memory
        while true {
            let found = qp_load_acquire(memory)
            let foundEpoch = found >> Self.countBits
            guard foundEpoch <= epoch else {
                munmap(memory, Self.fileBytes)
                throw .fenced(directory: directory, epoch: epoch, by: foundEpoch)
            }
            let claimed = foundEpoch == epoch ? found + 1 : epoch << Self.countBits
            if qp_compare_and_swap(memory, found, claimed) != 0 {
                word = claimed
                return
            }
        }
    }

    deinit {
        munmap(page, Self.fileBytes)
    }

    /// Names this claim's own files.
    var name: String { hex(word) }

    /// Throws `.fenced` if another writer has claimed the journal since. What was stored before is visible to it.
    func confirm() throws(JournalError) {
        let found = qp_fence_and_load(page)
        guard found == word else {
            throw .fenced(directory: directory, epoch: epoch, by: found >> Self.countBits)
        }
    }
}
