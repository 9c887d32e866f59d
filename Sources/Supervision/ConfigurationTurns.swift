/// One change of the configuration at a time: reloads that operators ask for, and what the watch of the agents directory
/// has found. Pure.
///
/// Those who ask while one is under way wait for the next, which reads everything anew and answers all of them at once.
public struct ConfigurationTurns<Asker> {
    public enum Turn {
        case reload([Asker])
        case look(DropInWatch.Settled)
    }

    /// Operators that may wait for the next reload.
    public static var maxWaiting: Int { 64 }

    /// What is under way.
    public private(set) var current: Turn?
    private var askers: [Asker] = []
    /// Somebody without an address (a signal) wants it too.
    private var isReloadWanted = false
    private var settled = DropInWatch.Settled()

    public init() {}

    /// False: too many wait already.
    ///
    /// - Parameter asker: nil for one that waits for no answer.
    public mutating func reload(for asker: Asker?) -> Bool {
        guard let asker else {
            isReloadWanted = true
            return true
        }
        guard askers.count < Self.maxWaiting else { return false }
        askers.append(asker)
        return true
    }

    public mutating func look(at more: DropInWatch.Settled) {
        settled.entries.formUnion(more.entries)
        settled.isEverything = settled.isEverything || more.isEverything
        settled.isSwapped = settled.isSwapped || more.isSwapped
    }

    /// The next turn; nil: one is under way, or nobody wants any. Operators go first.
    public mutating func begin() -> Turn? {
        guard current == nil else { return nil }
        if isReloadWanted || !askers.isEmpty {
            current = .reload(askers)
            askers = []
            isReloadWanted = false
        } else if !settled.isEmpty {
            current = .look(settled)
            settled = DropInWatch.Settled()
        }
        return current
    }

    public mutating func end() { current = nil }

    /// Gives up what is under way and all reloads that wait; what the watch has found is kept for later.
    ///
    /// - Returns: who waits for an answer.
    public mutating func abandon() -> [Asker] {
        var waiting = askers
        switch current {
        case .reload(let askers): waiting = askers + waiting
        case .look(let settled): look(at: settled)
        case nil: break
        }
        current = nil
        askers = []
        isReloadWanted = false
        return waiting
    }
}

extension ConfigurationTurns: Sendable where Asker: Sendable {}
extension ConfigurationTurns.Turn: Sendable where Asker: Sendable {}
