import CLinux
import Foundation
import Wire

/// Keeps descriptors free for operators and for ending agents: agents beyond them fail to start, instead of leaving a supervisor
/// that nobody can reach and that can't stop what it has. Belongs to the loop's thread.
final class DescriptorReserve {
    /// Free numbers that no agent is installed into: connections of operators, and what starting and ending need for a moment.
    /// A quarter of a low limit.
    static let most: UInt64 = 64
    /// What an agent takes at most, beside its listeners: its record, number, pipes, spools, log, pidfd, link, network, groups.
    static let perAgent: UInt64 = 15
    /// Held open, and given up when there are no others to end a tree with.
    static let spareCount = 8

    private var spares: [Descriptor] = []
    private var isGivenUp = false

    init() { fill() }

    static var limit: UInt64 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
        return UInt64(limit.rlim_cur)
    }

    /// Whether `count` descriptors can still be opened beside the reserve. The kernel gives the lowest number that is free, so
    /// all above the one it would give next are.
    static func hasRoom(for count: UInt64) -> Bool {
        let probe = qp_open("/dev/null", O_RDONLY, 0)
        guard probe >= 0 else { return errno != EMFILE && errno != ENFILE }
        close(probe)
        return UInt64(probe) + count + min(most, limit / 4) <= limit
    }

    /// Why an agent isn't installed, and what to do.
    static func refusal(of id: String) -> String {
        "the supervisor's limit of \(limit) open files leaves no room for it beside what operators and stopping need; "
            + "\(remedy), then `agentctl start \(id)`"
    }

    /// Why nothing can be started at all, and what to do.
    static var shortage: String {
        "the supervisor's limit of \(limit) open files is too low for what is open; \(remedy)"
    }

    private static var remedy: String {
        "raise it (`prlimit --pid \(getpid()) --nofile=N`; for good `ulimit -n` or LimitNOFILE=)"
    }

    /// A tree is to be ended: where nothing can be opened any more, the spare ones make room for it.
    func makeRoomForEnding() {
        guard !spares.isEmpty else { return }
        let probe = qp_open("/dev/null", O_RDONLY, 0)
        if probe >= 0 { close(probe) } else { spares = [] }
    }

    /// It has ended. What was given up is taken back once there is room for more than that.
    func endingIsOver() {
        if spares.isEmpty, Self.hasRoom(for: UInt64(Self.spareCount)) { fill() }
    }

    /// Everything is being ended.
    func giveUp() {
        isGivenUp = true
        spares = []
    }

    private func fill() {
        guard !isGivenUp else { return }
        while spares.count < Self.spareCount, let spare = try? Descriptor.open("/dev/null", O_RDONLY) {
            spares.append(spare)
        }
    }
}
