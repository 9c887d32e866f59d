import CLinux
import Glibc
import Wire

/// An agent's side of the keyring: the supervisor's page, mapped read-only. A risk agent's shell signs decisions with it,
/// a venue agent's shell checks what orders carry. It sees a new key as soon as the supervisor has made it; where nothing
/// has changed, that costs one load. Not thread-safe.
public final class Keyring {
    private struct Key {
        var id: UInt64
        var verifiesUntil: Instant
        var code: MessageCode
    }

    /// How often a page that changes under the reader is read again before what is there is taken: each slot is whole.
    private static let readAttempts = 4

    private let memory: UnsafeMutableRawPointer
    private var keys: [Key] = []
    private var current: UInt64 = 0
    private var generation: UInt64?

    private var page: KeyringPageReader { KeyringPageReader(memory: memory) }

    /// Takes the descriptor that the supervisor handed down, and closes it: the mapping is all that is needed.
    public convenience init(descriptor: Int32) throws {
        defer { close(descriptor) }
        try self.init(mapping: descriptor)
    }

    init(mapping descriptor: Int32) throws {
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_size == KeyringPage.byteCount else {
            throw AuthorityError(
                "descriptor \(descriptor) is no keyring; supervisor and agent are of different builds: rebuild both")
        }
        let start = mmap(nil, KeyringPage.byteCount, PROT_READ, MAP_SHARED, descriptor, 0)
        guard let start, start != MAP_FAILED else { throw AuthorityError.call("mmap", "the keyring") }
        _ = madvise(start, KeyringPage.byteCount, MADV_DONTDUMP)
        memory = start
        guard page.word(.magic) == KeyringPage.magic else {
            throw AuthorityError("the keyring has another layout; supervisor and agent are of different builds")
        }
    }

    deinit {
        munmap(memory, KeyringPage.byteCount)
    }

    /// The approval of a decision that is sent at `now`, good for as long as the decision says and at most
    /// `Limits.maxApprovalValidity`. nil when there is no key to sign with, or a name in the decision is too long.
    public func sign(_ decision: RiskDecision, at now: Instant) -> Approval? {
        refresh()
        guard let key = keys.first(where: { $0.id == current }) else { return nil }
        let validity = min(Nanoseconds(max(decision.validForNs, 0)), Limits.maxApprovalValidity)
        let expiresAt = now + validity
        let code = Approval.withSignedBytes(of: decision, keyID: key.id, expiresAt: expiresAt) {
            key.code.code(of: $0)
        }
        return code.map { Approval(keyID: key.id, expiresAt: expiresAt, code: $0) }
    }

    /// Whether a risk agent has approved the decision inside an order that is received at `now`. Whether the order keeps
    /// to the decision is the venue's to check.
    public func check(_ order: Order, at now: Instant) -> ApprovalVerdict {
        guard order.hasDecision, !order.decision.approval.isEmpty else { return .missing }
        let decision = order.decision
        guard let approval = Approval(decision) else { return .malformed }
        refresh()
        if !keys.contains(where: { $0.id == approval.keyID }) { refresh(always: true) }
        guard let key = keys.first(where: { $0.id == approval.keyID }) else { return .unknownKey }
        guard now < key.verifiesUntil else { return .expiredKey }
        let isGenuine = Approval.withSignedBytes(of: decision, keyID: key.id, expiresAt: approval.expiresAt) {
            key.code.verifies(approval.code, of: $0)
        }
        guard let isGenuine else { return .malformed }
        guard isGenuine else { return .forged }
        return now < approval.expiresAt ? .valid : .expired
    }

    /// Reads what has changed. Keys that are known already are kept, since no id ever names two.
    private func refresh(always: Bool = false) {
        guard always || page.word(.generation) != generation else { return }
        for _ in 0..<Self.readAttempts {
            let before = page.word(.generation)
            current = page.word(.current)
            var found: [Key] = []
            for slot in 0..<KeyringPage.slotCount {
                let state = page.slot(slot)
                guard state.keyID != 0 else { continue }
                let known = keys.first { $0.id == state.keyID }?.code
                guard let code = known ?? page.code(slot: slot, keyID: state.keyID) else { continue }
                found.append(Key(id: state.keyID, verifiesUntil: state.verifiesUntil, code: code))
            }
            // Few, and mostly the newest is meant.
            keys = found.sorted { $0.id > $1.id }
            generation = before
            if page.word(.generation) == before { return }
        }
    }
}
