/// A disk that remembers what the loader read, and can answer with it again: so that one drop-in is taken over without
/// taking over what has meanwhile changed elsewhere.
///
/// Of the agents directory it answers with what is held, except for the entries that are `fresh`: those are read anew.
/// supervisor.json is always held. Not thread-safe.
public final class ConfigurationRecord: ConfigurationSource {
    private let disk: any ConfigurationSource
    private let held: ConfigurationRecord?
    private let agentsDirectory: String
    private let fresh: Set<String>
    private(set) var files: [String: Result<[UInt8], ConfigurationSourceError>] = [:]
    private(set) var directories: [String: Result<[DirectoryEntry], ConfigurationSourceError>] = [:]
    private(set) var programs: [String: ExecutableCheck] = [:]

    /// Everything from the disk.
    public init(_ disk: any ConfigurationSource) {
        self.disk = disk
        held = nil
        agentsDirectory = ""
        fresh = []
    }

    /// What a process before this one has read; the disk only for what it has not.
    public convenience init(_ content: Content, over disk: any ConfigurationSource, in agentsDirectory: String) {
        let before = ConfigurationRecord(disk)
        before.files = content.files
        before.directories = content.directories
        before.programs = content.programs
        self.init(holding: before, butFresh: [], in: agentsDirectory)
    }

    /// `held`, except for `fresh` entries of `agentsDirectory`.
    public init(holding held: ConfigurationRecord, butFresh fresh: Set<String>, in agentsDirectory: String) {
        disk = held.disk
        self.held = held
        self.fresh = fresh
        self.agentsDirectory = agentsDirectory
    }

    /// Whether a file reads as it did when it was read for this record; one that was never read does.
    public func isUnchanged(_ path: String) -> Bool {
        guard let known = files[path] else { return true }
        return (try? known.get()) == (try? disk.contents(ofFile: path))
    }

    public func contents(ofFile path: String) throws(ConfigurationSourceError) -> [UInt8] {
        let result =
            heldFile(path) ?? Self.result { () throws(ConfigurationSourceError) in try disk.contents(ofFile: path) }
        files[path] = result
        return try result.get()
    }

    public func entries(ofDirectory path: String) throws(ConfigurationSourceError) -> [DirectoryEntry] {
        guard let held, path == agentsDirectory, let known = try held.directories[path]?.get() else {
            let now = Self.result { () throws(ConfigurationSourceError) in try disk.entries(ofDirectory: path) }
            directories[path] = now
            return try now.get()
        }
        // Where nothing is fresh, a directory that is away for the moment takes nothing from what is held.
        let now = fresh.isEmpty ? [] : try disk.entries(ofDirectory: path)
        let entries = known.filter { !fresh.contains($0.name) } + now.filter { fresh.contains($0.name) }
        directories[path] = .success(entries)
        return entries
    }

    public func executable(at path: String) -> ExecutableCheck {
        // What could not be used before may have come; what could is held even while it is being replaced. A program in an
        // entry of its own is neither here nor there before that entry has come to rest.
        let known = isFresh(path) ? nil : held?.programs[path]
        let isHeld = known == .executable || path.hasPrefix(agentsDirectory + "/")
        let check = (isHeld ? known : nil) ?? disk.executable(at: path)
        programs[path] = check
        return check
    }

    public func hasUser(named name: String) -> Bool { disk.hasUser(named: name) }

    public func programs(inFolder path: String) -> [String] { disk.programs(inFolder: path) }

    private func heldFile(_ path: String) -> Result<[UInt8], ConfigurationSourceError>? {
        isFresh(path) ? nil : held?.files[path]
    }

    private func isFresh(_ path: String) -> Bool {
        guard held != nil, path.hasPrefix(agentsDirectory + "/") else { return false }
        return fresh.contains(String(path.dropFirst(agentsDirectory.count + 1).prefix { $0 != "/" }))
    }

    private static func result<Value>(
        _ body: () throws(ConfigurationSourceError) -> Value
    ) -> Result<Value, ConfigurationSourceError> {
        do { return .success(try body()) } catch { return .failure(error) }
    }
}
