import CLinux
import Foundation
import Wire

/// Makes the control groups of an agent's next incarnation ahead, and removes those of past ones, when nothing more urgent
/// is to be done: both take the kernel a tenth of a millisecond each, and a restart shall not wait for them.
///
/// Belongs to the loop's thread. Asleep once everything is tidy.
final class GroupKeeper {
    /// How long there must have been no birth before tidying begins.
    static let quietMs: Int64 = 50
    /// One piece of work, then the loop gets its turn.
    static let pauseMs: Int64 = 1
    /// Times a group that is not empty is tried again before it is left to the end of the supervisor.
    static let removalAttempts = 20
    /// More groups than this waiting to be removed: births don't hold up tidying any longer.
    static let maxGraves = 512

    let tree: CgroupTree
    private let loop: EventLoop
    private var spares: [String: AgentGroup] = [:]
    private var wishes: [(agent: String, incarnation: UInt64, limits: LimitPlan)] = []
    private var graves: [(group: AgentGroup, attempts: Int)] = []
    private var alarms: [ObjectIdentifier: EventLoop.Source] = [:]
    private var timer: EventLoop.Timer?
    private var lastBirth = EventLoop.now()

    init(loop: EventLoop, tree: CgroupTree) {
        self.loop = loop
        self.tree = tree
    }

    /// The groups for an incarnation about to be born: those made ahead, if they fit, else new ones. nil: there are none
    /// to be had. `onMemory`: its memory limit was reached, and nothing could be reclaimed.
    func take(
        agent: String, incarnation: UInt64, limits: LimitPlan, onMemory: @escaping () -> Void
    ) -> AgentGroup? {
        lastBirth = EventLoop.now()
        var group: AgentGroup?
        if let spare = spares.removeValue(forKey: agent) {
            if spare.name == CgroupTree.groupName(agent, incarnation), spare.limits == limits {
                group = spare
            } else {
                bury(spare)
            }
        }
        if group == nil { group = tree.makeGroup(agent: agent, incarnation: incarnation, limits: limits) }
        if let group { listen(to: group, onMemory) }
        return group
    }

    /// The groups of a process that an earlier supervisor started.
    func find(
        agent: String, incarnation: UInt64, limits: LimitPlan, onMemory: @escaping () -> Void
    ) -> AgentGroup? {
        guard let group = tree.findGroup(agent: agent, incarnation: incarnation, limits: limits) else { return nil }
        listen(to: group, onMemory)
        return group
    }

    private func listen(to group: AgentGroup, _ onMemory: @escaping () -> Void) {
        guard let alarm = group.memoryAlarm else { return }
        let fd = alarm.raw
        alarms[ObjectIdentifier(group)] = try? loop.add(fd, .readable) { _ in
            var count: UInt64 = 0
            if read(fd, &count, 8) == 8 { onMemory() }
        }
    }

    /// Wants the groups of this incarnation ready before they are asked for.
    func prepare(agent: String, incarnation: UInt64, limits: LimitPlan) {
        wishes.removeAll { $0.agent == agent }
        wishes.append((agent, incarnation, limits))
        wake()
    }

    /// Empty groups that nobody needs any more.
    func bury(_ group: AgentGroup) {
        if let source = alarms.removeValue(forKey: ObjectIdentifier(group)) { loop.remove(source) }
        graves.append((group, 0))
        wake()
    }

    /// The agent is gone for good.
    func forget(agent: String) {
        wishes.removeAll { $0.agent == agent }
        if let spare = spares.removeValue(forKey: agent) { bury(spare) }
    }

    /// At the supervisor's end: everything that is empty goes, now.
    func close() {
        if let timer { loop.cancel(timer) }
        timer = nil
        wishes = []
        for source in alarms.values { loop.remove(source) }
        alarms = [:]
        for group in graves.map(\.group) + spares.values { group.remove() }
        (graves, spares) = ([], [:])
        tree.remove()
    }

    private func wake() {
        guard timer == nil, !wishes.isEmpty || !graves.isEmpty else { return }
        let quietAt = lastBirth + .milliseconds(Self.quietMs)
        let soon = EventLoop.now() + .milliseconds(Self.pauseMs)
        timer = loop.schedule(at: graves.count > Self.maxGraves ? soon : max(quietAt, soon)) { [weak self] in
            guard let self else { return }
            timer = nil
            if graves.count > Self.maxGraves || EventLoop.now() >= lastBirth + .milliseconds(Self.quietMs) { tidy() }
            wake()
        }
    }

    /// One piece: the next groups first, because somebody may need them soon.
    private func tidy() {
        if let wish = wishes.first {
            wishes.removeFirst()
            if let spare = spares[wish.agent] {
                if spare.name == CgroupTree.groupName(wish.agent, wish.incarnation), spare.limits == wish.limits {
                    return
                }
                bury(spare)
            }
            spares[wish.agent] = tree.makeGroup(
                agent: wish.agent, incarnation: wish.incarnation, limits: wish.limits)
        } else if var grave = graves.popLast() {
            guard !grave.group.remove() else { return }
            grave.attempts += 1
            if grave.attempts < Self.removalAttempts { graves.insert(grave, at: 0) }
        }
    }
}
