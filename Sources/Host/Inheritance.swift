import CLinux
import Foundation
import Supervision
import Wire

/// What an earlier supervisor of this run directory left behind, proven by the kernel: agents that live, agents that ended
/// unseen, and what was decided about each. Read once, under the run directory's lock, before anything is started.
struct Inheritance {
    /// A process of an agent, or what is left of one.
    struct Life {
        enum Leader {
            /// Proven: pid, start, boot and pid namespace.
            case alive(pid: pid_t, pidfd: Descriptor)
            /// It ended while nobody looked, or before the news was on record.
            case ended(pid: pid_t?)
            /// Its end is on record; only what it left behind may still be there.
            case concluded
        }

        let record: LifeRecord
        let leader: Leader
        /// When the process began, in clock ticks since boot.
        var startTicks: UInt64?
        /// How it ended, if that is known.
        var exit: ChildExit?
    }

    private(set) var memories: [AgentMemory] = []
    private(set) var lives: [AgentID: Life] = [:]
    /// Agents whose process lives, by name.
    private(set) var survivors: [(id: AgentID, life: Life, pid: pid_t, pidfd: Descriptor)] = []
    /// Agents of whom a supervisor of this boot that did not end in order has left a record.
    private(set) var remembered: Set<AgentID> = []
    /// What could not be used, in words for the log.
    private(set) var complaints: [String] = []

    /// What the launcher before has kept.
    let keepsakes: Keepsakes

    init(_ run: RunDirectory) {
        keepsakes = Keepsakes(path: run.keeperSocket)
        let present = LifeRecord.Moment.now()
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: "\(run.path)/agents")) ?? []
        let ids = Dictionary(folders.map { (LifeRecord.digest(of: AgentID($0)), AgentID($0)) }) { first, _ in first }
        for name in folders.sorted() where Names.isAgentName(name) {
            let id = AgentID(name)
            let folder = run.folder(ofAgent: name)
            let epoch = IncarnationFile.read(folder: folder)
            var memory = AgentMemory(id: id, lastIncarnation: epoch)
            switch LifeFile.read(folder: folder, of: id) {
            case nil: break
            case .damaged:
                complaints.append(
                    "\(folder)/\(LifeFile.name) is damaged: what it may have told of is ended, and \(name) starts anew")
            // Of another boot nothing lives, and its clock is not ours.
            case .record(let record, _) where record.moment != present: break
            case .record(let record, let birth):
                memory = record.memory
                memory.culprit = ids[record.culpritDigest]
                memory.lastIncarnation = max(epoch, memory.lastIncarnation)
                lives[id] = Self.life(record, birth, keepsakes)
                remembered.insert(id)
            }
            memories.append(memory)
        }
        survivors = lives.sorted { $0.key < $1.key }.compactMap { id, life in
            if case .alive(let pid, let pidfd) = life.leader { (id, life, pid, pidfd) } else { nil }
        }
    }

    private static func life(_ record: LifeRecord, _ birth: Birth?, _ keepsakes: Keepsakes) -> Life? {
        switch record.stage {
        case .gone: return nil
        case .clearing: return Life(record: record, leader: .concluded)
        case .alive:
            // Decided and never made: no process, and nothing to report of.
            guard let birth, birth.incarnation == record.incarnation else { return nil }
            guard let pidfd = proven(birth) else {
                return ended(record, birth, keepsakes)
            }
            return Life(record: record, leader: .alive(pid: birth.pid, pidfd: pidfd), startTicks: birth.startTicks)
        }
    }

    private static func ended(_ record: LifeRecord, _ birth: Birth, _ keepsakes: Keepsakes) -> Life {
        // Its number means it only as long as its own zombie has it.
        let isZombie = ProcessTable.row(of: birth.pid)?.startTicks == birth.startTicks
        var life = Life(
            record: record, leader: .ended(pid: isZombie ? birth.pid : nil), startTicks: birth.startTicks)
        var exit = qp_exit()
        if isZombie, qp_reap(birth.pid, &exit) == 0, exit.pid == birth.pid {
            // After an upgrade in place it was still our child.
            life.exit = ChildExit(exit)
        } else if isZombie, let exit = ChildExit(ofZombie: birth.pid, startTicks: birth.startTicks) {
            life.exit = exit
        } else if let ending = keepsakes[record.memory.id.name, birth.incarnation, birth.pid]?.ending {
            life.exit = ChildExit(pid: birth.pid, ending: ending)
        }
        return life
    }

    /// A pidfd of exactly the process that wrote the birth, while it lives. The order matters: what the descriptor stands
    /// for existed before the start time was read, and a process that still has that time was there all along.
    static func proven(_ birth: Birth) -> Descriptor? {
        let pidfd = qp_pidfd_open(birth.pid)
        guard pidfd >= 0 else { return nil }
        let descriptor = Descriptor(pidfd)
        guard let row = ProcessTable.row(of: birth.pid), row.startTicks == birth.startTicks, birth.startTicks != 0,
            row.isAlive, qp_pidfd_has_ended(pidfd) == 0
        else { return nil }
        return descriptor
    }

    /// Whether an agent of this boot lives that was started in this run directory. Waits for nobody and locks nothing: a
    /// supervisor may be at work there.
    static func isAnybodyAlive(in run: String) -> Bool {
        let present = LifeRecord.Moment.now()
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: "\(run)/agents")) ?? []
        return folders.contains { name in
            guard Names.isAgentName(name), let bytes = AgentFile.read("\(run)/agents/\(name)/\(LifeFile.name)"),
                case .record(let record, let birth?) = LifeFile.Left(bytes, of: AgentID(name)),
                record.moment == present, record.stage == .alive, birth.incarnation == record.incarnation
            else { return false }
            return proven(birth) != nil
        }
    }

    func survives(_ id: AgentID) -> Bool {
        if case .alive? = lives[id]?.leader { true } else { false }
    }

    /// Whether a process with this environment belongs to an incarnation that is taken over.
    func keeps(agent: String?, incarnation: String?) -> Bool {
        guard let agent, let incarnation, let life = lives[AgentID(agent)] else { return false }
        if case .alive = life.leader { return incarnation == String(life.record.incarnation) }
        return false
    }

    /// The listening sockets below `directory` that living agents hold, by path. The supervisor gets its own copy back
    /// (pidfd_getfd(2)): a restarted agent needs it, and closing ours takes nothing from those who hold theirs.
    func listeners(in directory: String) -> (open: [String: Descriptor], refused: Int) {
        var open: [String: Descriptor] = [:]
        var refused = 0
        for survivor in survivors {
            let folder = "/proc/\(survivor.pid)/fd"
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                guard let number = Int32(name),
                    let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)"),
                    target.hasPrefix("socket:")
                else { continue }
                let copy = qp_pidfd_getfd(survivor.pidfd.raw, number)
                guard copy >= 0 else {
                    if errno == EPERM { refused += 1 }
                    continue
                }
                let socket = Descriptor(copy)
                var path = [CChar](repeating: 0, count: Limits.maxSocketPathBytes + 1)
                guard qp_listening_path(copy, &path, path.count) == 1 else { continue }
                let text = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if text.hasPrefix(directory + "/"), open[text] == nil { open[text] = socket }
            }
        }
        return (open, refused)
    }
}
