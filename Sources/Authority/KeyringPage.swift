import CLinux
import Wire

/// Layout of `<run>/keyring`: one page that the supervisor writes and risk and venue agents map read-only, so that all
/// of them see a new key at the same moment. Words are the machine's, 8-byte aligned, each stored in one piece.
///
/// ```text
/// 0     magic         8    generation: one more after every change      16   id of the key that signs
/// 24    boot id, 2 words: in another boot no key is good                40   0
/// 64    63 slots of 64 bytes: 0 key id (0: empty), 8 made at, 16 verifies until, 24 0, 32 the key, 32 bytes
/// ```
///
/// A slot is emptied by its id first and filled by its id last, and no id ever names two keys: who reads the same id
/// before and after has read one whole key. So a writer may die between any two stores.
enum KeyringPage {
    /// "QPKEYS", a zero, and the layout's version.
    static let magic: UInt64 = 0x0100_5359_454B_5051
    static let byteCount = 4_096
    static let keyByteCount = 32
    static let slotCount = 63

    enum Word: Int {
        case magic = 0
        case generation = 8
        case current = 16
        case bootHigh = 24
        case bootLow = 32
    }

    static func slotAt(_ slot: Int) -> Int { 64 + slot * 64 }

    enum SlotWord: Int {
        case keyID = 0
        case madeAt = 8
        case verifiesUntil = 16
    }

    static let keyOffset = 32
}

/// Reads the page. `memory` must stay mapped.
struct KeyringPageReader {
    let memory: UnsafeRawPointer

    func word(_ word: KeyringPage.Word) -> UInt64 { qp_load_acquire(memory + word.rawValue) }

    func word(_ word: KeyringPage.SlotWord, slot: Int) -> UInt64 {
        qp_load_acquire(memory + KeyringPage.slotAt(slot) + word.rawValue)
    }

    /// What the rotation knows of a slot; empty when it is being changed.
    func slot(_ slot: Int) -> KeyRotation.Slot {
        let keyID = word(.keyID, slot: slot)
        let found = KeyRotation.Slot(
            keyID: keyID, madeAt: Instant(nanoseconds: Int64(bitPattern: word(.madeAt, slot: slot))),
            verifiesUntil: Instant(nanoseconds: Int64(bitPattern: word(.verifiesUntil, slot: slot))))
        qp_acquire_fence()
        return keyID != 0 && word(.keyID, slot: slot) == keyID ? found : .empty
    }

    /// The code of the key in a slot; nil when the slot has not held `keyID` all the while.
    func code(slot: Int, keyID: UInt64) -> MessageCode? {
        guard word(.keyID, slot: slot) == keyID else { return nil }
        let key = memory + KeyringPage.slotAt(slot) + KeyringPage.keyOffset
        let code = MessageCode(key: UnsafeRawBufferPointer(start: key, count: KeyringPage.keyByteCount))
        qp_acquire_fence()
        return word(.keyID, slot: slot) == keyID ? code : nil
    }
}
