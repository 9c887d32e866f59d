import CLinux
import Foundation
import Supervision
import Wire

/// As subreaper the supervisor is the parent of whatever outlives its parent. A process that left its agent's groups, session
/// and environment is tied to nobody: it goes with the next tree that is cleared away, before anything is started in
/// its place; where others are being started just then, in the next quiet moment.
extension Supervisor {
    /// Processes named in one message.
    private static let maxStraysTold = 8
    /// Told of once each: remembered are the last so many.
    private static let maxStraysKnown = 1024
    /// From the end of a tree to the look for what could not be told from newborn processes, ms.
    private static let strayLookMs: Int64 = 50

    /// Children that are nobody's, now that this tree is at its end.
    func findStrays(clearing target: Containment.Target) -> [ProcessRow] {
        straysBornBefore = ProcessTable.ticksNow()
        lookForStraysLater()
        guard launcher.isQuiet, let children = ProcessTable.inheritedChildren() else { return [] }
        let strays = strays(among: children, butFor: target)
        tell(of: strays, "\(target.agent) has ended")
        return strays
    }

    /// What could not be told from processes that were just being made, and whatever the first look does not see. Who was born
    /// since the last tree ended may come from an agent that lives.
    private func lookForStraysLater() {
        guard strayLook == nil, !isStopping else { return }
        strayLook = loop.schedule(afterMs: Self.strayLookMs) { [unowned self] in
            strayLook = nil
            guard launcher.isQuiet else { return lookForStraysLater() }
            let strays = strays(among: ProcessTable.children(), butFor: nil)
                .filter { $0.startTicks < straysBornBefore }
            tell(of: strays, "agents have ended")
            for row in strays { Containment.kill(row) }
            // Each look brings up those whose parents died in the one before.
            if !strays.isEmpty { lookForStraysLater() }
        }
    }

    /// While the launcher is quiet every child that we started is known.
    private func strays(among children: [pid_t], butFor target: Containment.Target?) -> [ProcessRow] {
        // Launchers, and a program that an upgrade tries, are in our session; an agent and all that descends from it are
        // not, and can't come back to it.
        let session = getsid(0)
        let rows = children.filter { !containment.isKnownChild($0) }
            .compactMap(ProcessTable.row).filter { $0.isAlive && $0.session != session }
        guard !rows.isEmpty else { return [] }
        let kin = kin(butFor: target)
        return rows.filter { !stray($0).belongs(toOneOf: kin) }
    }

    private func stray(_ row: ProcessRow) -> Stray {
        let names = ProcessTable.environment(of: row.pid, ["QP_AGENT", "QP_INCARNATION", "QP_RUN_DIR"])
        var named: String?
        if names["QP_RUN_DIR"] == runDirectory.path, let agent = names["QP_AGENT"],
            let incarnation = names["QP_INCARNATION"].flatMap(UInt64.init)
        {
            named = CgroupTree.groupName(agent, incarnation)
        }
        return Stray(
            row: row, groups: groups.tree.groups(of: row.pid), named: named,
            isInKnownSession: exits.watches(row.session) || exits.watches(row.group))
    }

    /// All incarnations of which something is left, but the one whose tree is cleared away.
    private func kin(butFor target: Containment.Target?) -> [Stray.Kin] {
        agents.values.compactMap { agent in
            guard let process = agent.process, process.stage != .gone,
                agent.name != target?.agent || process.incarnation.number != target?.incarnation
            else { return nil }
            return Stray.Kin(
                name: CgroupTree.groupName(agent.name, process.incarnation.number),
                tellsMembers: process.group?.tellsMembers == true, startTicks: process.startTicks)
        }
    }

    private static func mark(_ row: ProcessRow) -> UInt64 { row.startTicks << 22 ^ UInt64(row.pid) }

    private func tell(of strays: [ProcessRow], _ occasion: String) {
        let fresh = strays.filter { straysTold.insert(Self.mark($0)).inserted }
        guard !fresh.isEmpty else { return }
        if straysTold.count > Self.maxStraysKnown { straysTold = Set(strays.map(Self.mark)) }
        let listed = fresh.prefix(Self.maxStraysTold).map { row in
            let name = CgroupFile.text("/proc/\(row.pid)/comm") ?? "?"
            return "\(row.pid) (\(name))"
        }
        let rest = fresh.count > listed.count ? " and \(fresh.count - listed.count) more" : ""
        let message =
            "\(occasion), and left-overs that belong to no agent any more are killed: "
            + "pid \(listed.joined(separator: ", "))\(rest)"
        tell { [unowned self] in
            record(kind: "supervisor", message: message)
            console.line(message)
        }
    }
}
