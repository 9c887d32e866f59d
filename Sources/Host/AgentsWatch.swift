import CLinux
import Foundation
import Supervision
import Wire

/// Turns what the kernel says of the agents directory, its folders and the agents' programs into changes of drop-ins.
/// Belongs to the loop's thread.
final class AgentsWatch {
    /// Folders watched at most: one for each agent, and those that programs are in.
    static let maxWatches = 2 * Limits.maxAgents
    /// How often a directory that has gone is looked for.
    static let lookAgainMs: Int64 = 5_000

    private enum Place: Hashable {
        case directory
        /// A folder of the agents directory.
        case entry(String)
        /// A folder that holds programs of agents.
        case programs(String)
    }

    private let directory: String
    private let loop: EventLoop
    private var kernel: DirectoryWatch!
    private var places: [Int32: Place] = [:]
    private var watches: [Place: Int32] = [:]
    /// The folders by whose names the directory is found: the one that holds it, and those of links on the way to it.
    private var guards: DirectoryWatch!
    private var guarded: [Int32: [String: Bool]] = [:]
    /// nil: this machine does not tell of mounts, and a reload finds them.
    private var mounts: MountWatch?
    private var isClosed = false
    private var lookAgain: EventLoop.Timer?
    /// Program path → entries whose agents run it.
    private var programs: [String: Set<String>] = [:]
    private let receive: (DropInWatch.Change) -> Void
    /// Whether a file of this entry says anything about its agent.
    private let matters: (_ entry: String, _ file: String) -> Bool
    private let complain: (String) -> Void
    private var isComplete = true

    init(
        directory: String, loop: EventLoop, receive: @escaping (DropInWatch.Change) -> Void,
        matters: @escaping (_ entry: String, _ file: String) -> Bool, complain: @escaping (String) -> Void
    ) throws {
        self.directory = directory
        self.loop = loop
        self.receive = receive
        self.matters = matters
        self.complain = complain
        kernel = try DirectoryWatch(loop: loop) { [weak self] in self?.happened($0) }
        guards = try DirectoryWatch(loop: loop, mask: DirectoryWatch.namesMask) { [weak self] in
            self?.happenedOnTheWay($0)
        }
        mounts = try? MountWatch(loop: loop) { [weak self] in self?.recheck(.mounted) }
        watchAll()
    }

    func close() {
        isClosed = true
        mounts?.close()
        if let lookAgain { loop.cancel(lookAgain) }
        kernel.close()
        guards.close()
    }

    /// After a reload: what is in the place of each folder now is what is watched, and these agents' programs.
    func rearm(_ agents: [AgentPlan]) {
        watchAll()
        follow(agents)
    }

    /// Follows the programs of these agents, wherever they are.
    func follow(_ agents: [AgentPlan]) {
        programs = [:]
        for agent in agents {
            if let path = agent.executablePath { programs[path, default: []].insert(agent.entry) }
        }
        for folder in Set(programs.keys.map { ($0 as NSString).deletingLastPathComponent }) {
            let place = Place.programs(folder)
            if folder != directory, !isEntry(folder) { watch(folder, place) }
        }
    }

    /// Whether the folder is one that is watched as a drop-in already.
    private func isEntry(_ folder: String) -> Bool { (folder as NSString).deletingLastPathComponent == directory }

    private func watchAll() {
        watchTheWay()
        guard watch(directory, .directory) else { return lookLater() }
        do throws(ConfigurationSourceError) {
            for entry in try HostConfigurationSource().entries(ofDirectory: directory)
            where entry.kind == .directory && !TemporaryNames.contains(entry.name) {
                watch("\(directory)/\(entry.name)", .entry(entry.name))
            }
        } catch {
            // It goes at this moment, and that is told.
        }
    }

    @discardableResult
    private func watch(_ path: String, _ place: Place) -> Bool {
        guard places.count < Self.maxWatches || watches[place] != nil else {
            return incomplete("more than \(Self.maxWatches) folders")
        }
        do {
            let watch = try kernel.add(path)
            if let before = watches.updateValue(watch, forKey: place), before != watch, places[before] == place {
                // Another folder is in its place.
                places[before] = nil
                kernel.remove(before)
            }
            places[watch] = place
            return true
        } catch let error as PosixError where error.code == ENOSPC || error.code == ENOMEM {
            return incomplete("\(error) (sysctl fs.inotify.max_user_watches)")
        } catch {
            // Gone again already; its end is told by the folder above it.
            return false
        }
    }

    private func incomplete(_ why: String) -> Bool {
        if isComplete { complain("not every folder is watched, use `agentctl reload` after a change: \(why)") }
        isComplete = false
        return false
    }

    private func happened(_ happening: DirectoryWatch.Happening) {
        if happening.has(IN_Q_OVERFLOW) {
            watchAll()
            return receive(.overflow)
        }
        guard let place = places[happening.watch] else { return }
        if happening.has(IN_IGNORED) {
            // Removed, or unmounted with all that was in it.
            forget(place)
            if place == .directory { lost() }
            return
        }
        switch place {
        case .directory:
            if happening.has(IN_DELETE_SELF, IN_MOVE_SELF) { return lost() }
            guard !happening.name.isEmpty, !TemporaryNames.contains(happening.name) else { return }
            if happening.has(IN_ISDIR), happening.has(IN_CREATE, IN_MOVED_TO) {
                watch("\(directory)/\(happening.name)", .entry(happening.name))
            }
            receive(change(happening, entry: happening.name, file: ""))
        case .entry(let entry):
            guard !happening.name.isEmpty, !TemporaryNames.contains(happening.name), matters(entry, happening.name)
            else { return }
            receive(change(happening, entry: entry, file: happening.name))
        case .programs(let folder):
            for entry in programs["\(folder)/\(happening.name)"] ?? [] {
                receive(change(happening, entry: entry, file: "/\(happening.name)"))
            }
        }
    }

    private func change(_ happening: DirectoryWatch.Happening, entry: String, file: String) -> DropInWatch.Change {
        if happening.has(IN_MODIFY) { return .written(entry: entry, file: file) }
        if happening.has(IN_CLOSE_WRITE, IN_MOVED_FROM, IN_DELETE) { return .closed(entry: entry, file: file) }
        return .touched(entry: entry)
    }

    private func forget(_ place: Place) {
        guard let watch = watches.removeValue(forKey: place), places[watch] == place else { return }
        places[watch] = nil
        kernel.remove(watch)
    }

    /// The directory itself went: nothing is stopped for that; it is looked for until it is back.
    private func lost() {
        forget(.directory)
        complain("\(directory) is gone; nothing is stopped, and nothing new is seen until it is back")
        receive(.lost)
        // A mount that went, a directory that was moved onto it: another one is there already.
        lookLater(afterMs: 0)
    }

    private func lookLater(afterMs: Int64 = AgentsWatch.lookAgainMs) {
        guard !isClosed, lookAgain == nil else { return }
        lookAgain = loop.schedule(afterMs: afterMs) { [weak self] in
            guard let self else { return }
            lookAgain = nil
            if watches[.directory] == nil { recheck(.back) }
        }
    }

    // MARK: - The way to the directory

    private func watchTheWay() {
        var names: [Int32: [String: Bool]] = [:]
        for step in PathSteps.of(directory) {
            guard let watch = try? guards.add(step.folder) else { continue }
            names[watch, default: [:]][step.name] = step.isLink
        }
        for watch in guarded.keys where names[watch] == nil { guards.remove(watch) }
        guarded = names
    }

    private func happenedOnTheWay(_ happening: DirectoryWatch.Happening) {
        if happening.has(IN_Q_OVERFLOW) { return recheck(.back) }
        if happening.has(IN_IGNORED) {
            guarded[happening.watch] = nil
        } else if happening.has(IN_DELETE_SELF, IN_MOVE_SELF) {
            recheck(.back)
        } else if let wasLink = guarded[happening.watch]?[happening.name] {
            watchTheWay()
            // One that was removed and made anew is swapped too.
            let isSwap = wasLink || guarded[happening.watch]?[happening.name] == true
            recheck(isSwap ? .swapped : .back)
        }
    }

    /// How another directory may have come to its place.
    private enum Way: String {
        case back = "is there again"
        /// By a link: a deployment.
        case swapped = "is another directory now"
        case mounted = "is covered or uncovered: another directory is mounted there"
    }

    /// Whether another directory is found by its path than before.
    private func recheck(_ way: Way) {
        let before = watches[.directory]
        let now = try? kernel.add(directory)
        watchTheWay()
        if let before, now == before { return }
        guard now != nil else { return before == nil ? lookLater() : lost() }
        watchAll()
        guard watches[.directory] != nil else { return }
        let rest = Int(DropInWatch.regrowthRest.seconds)
        complain(
            "\(directory) \(before == nil && way == .mounted ? Way.back.rawValue : way.rawValue)"
                + "; what is missing in it counts when it has been left alone for \(rest) s, or at `agentctl reload`")
        receive(way == .swapped ? .swapped : .back)
    }
}
