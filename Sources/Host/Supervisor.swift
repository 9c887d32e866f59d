import Authority
import CLinux
import Foundation
import Supervision
import Wire

/// The thin shell around `Fleet`: what happens becomes events, what `Fleet` wants becomes processes, signals, timers
/// and answers. One thread; everything but `run` is called on it.
public final class Supervisor {
    public struct Options: Sendable {
        /// Absolute path of supervisor.json.
        public var configurationFile: String
        /// Absolute path of the folder that holds `agent-launcher` and the built-in agents.
        public var programDirectory: String
        /// Absolute path of the supervisor's own program, for an upgrade in place.
        public var program: String { "\(programDirectory)/supervisor" }
        public var isQuiet = false

        public init(configurationFile: String, programDirectory: String) {
            self.configurationFile = configurationFile
            self.programDirectory = programDirectory
        }
    }

    /// What a one-shot mode or a test may want to know; called on the loop's thread.
    public struct Hooks {
        /// A transition of an agent, after it was carried out.
        public var transition: (Transition) -> Void = { _ in }
        /// An agent said `X_QP_EXHAUSTED=1`: its source has no more input.
        public var exhausted: (_ agent: String) -> Void = { _ in }
        /// Every process is gone; the run directory is still complete.
        public var fleetStopped: () -> Void = {}
    }

    public static let version = "0.1.0"
    static let signals = [SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD]
    /// How long after the start of the last agent the pages that only starting needed are given back.
    static let settleMs: Int64 = 1_000
    /// How long a last answer may take to reach a slow client when the supervisor ends.
    static let lastWordsMs: Int64 = 250
    /// How long orphans may take to die when the supervisor ends.
    static let lastOrphansMs: Int64 = 2_000

    public let loop: EventLoop
    public let runDirectory: RunDirectory
    public var hooks = Hooks()
    /// The configuration in force.
    public internal(set) var plan: Wire.FleetPlan {
        didSet { tellNotes(since: oldValue.notes) }
    }

    let options: Options
    let startedAt = Timestamp.now()
    let startedAtInstant = EventLoop.now()
    let console: Console
    let launcher: Launcher
    let exits: ExitWatch
    let containment: Containment
    let keyring: KeyringFile
    let groups: GroupKeeper
    let inquirer: SettingsInquirer
    /// What limits are enforced by on this machine.
    let limitSupport: LimitSupport
    let sockets: WireSockets
    let scratch = ScratchBuffer()
    var inheritedEnvironment = ProcessInfo.processInfo.environment
    let openFiles: OpenFilesLimit
    let reserve = DescriptorReserve()
    var notify: NotifySocket!
    /// Operators' commands to agents.
    public internal(set) var link: LinkServer!
    /// Operators' trading states.
    var trading: TradingDesk!
    var control: ControlServer!
    var signalSource: Signals!
    var certificates: CertificateQueue!
    var serviceManager: ServiceManager!
    var fleet: Fleet
    var dropIns: DropIns
    var feedback: Set<Graph.Edge>
    var agents: [AgentID: AgentRuntime] = [:]
    /// Configured agents that the shell can't hold, and why; the next start of one tries again.
    var uninstalled: [AgentID: String] = [:]
    var leaders: [pid_t: AgentID] = [:]
    var events = EventLog()
    var commands = CommandTable()
    var subscriptions = Subscriptions()
    var turns = ConfigurationTurns<CommandTable.Pending>()
    /// What a predecessor left; nothing once it is taken over.
    var inheritance: Inheritance?
    /// What it had in force, if that still is; nothing once it is taken over.
    var predecessor: KeptConfiguration?
    let handover: Handover
    var upgradeMailbox: (mailbox: Mailbox<String?>, source: EventLoop.Source)?
    /// From the check of the new program to its execution, or until that is given up.
    var isUpgrading = false
    var runDirectoryWatch: DirectoryWatch?
    /// Why everything is stopped, when that is because the run directory is gone.
    var lostRunDirectory: String?
    var isStopping: Bool { stopRequests > 0 || fleet.isStopping }
    /// Living agents that were taken over.
    var adopted = 0
    let moment = LifeRecord.Moment.now()
    var mayHaveOrphans = false
    /// It was told that words of a process that had ended belong to nobody.
    var hasToldOfLostWords = false
    /// Strays that were told of already.
    var straysTold: Set<UInt64> = []
    var strayLook: EventLoop.Timer?
    /// When the last tree ended, in clock ticks since boot.
    var straysBornBefore: UInt64 = 0
    /// All that live from before are taken over, and all that are to start are asked for.
    var hasBegun = false
    var hasGreeted = false
    private var inbox: [FleetEvent] = []
    private var tidings: [() -> Void] = []
    private var isHandling = false
    private var survivors: [AgentID]?
    private let startComplaints: [String]
    private var stopRequests = 0
    private var random = SystemRandomNumberGenerator()

    /// Takes the run directory and opens everything; starts no agent yet. Call it on the main thread, before any other
    /// thread exists, because it blocks signals for all of them.
    ///
    public init(_ start: StartConfiguration, options: Options) throws {
        let plan = start.plan
        Signals.ignoreFailedWrites()
        Signals.block(Self.signals)
        self.options = options
        self.plan = plan
        console = Console(isQuiet: options.isQuiet)
        openFiles = OpenFilesLimit.raise()
        let run = try RunDirectory(path: plan.configuration.runDirectory)
        runDirectory = run
        loop = try EventLoop()
        exits = ExitWatch(loop: loop)
        let launcher = try Launcher(
            executable: "\(options.programDirectory)/agent-launcher", keeper: run.keeperSocket, loop: loop)
        self.launcher = launcher
        let exits = exits
        containment = Containment(loop: loop, runDirectory: run.path) {
            launcher.isLauncher($0) || exits.watches($0)
        }
        inquirer = SettingsInquirer(loop: loop, launcher: launcher, exits: exits, containment: containment)
        keyring = try KeyringFile(path: run.keyring, at: EventLoop.now())
        let tree = CgroupTree(runDirectory: run.path)
        groups = GroupKeeper(loop: loop, tree: tree)
        limitSupport = LimitSupport.ofThisProcess(tree.findings)
        sockets = WireSockets(directory: run.wires)
        let dropIns = DropIns(start)
        self.dropIns = dropIns
        let reading = try FleetSpec.reading(plan) { agent in
            LaunchFingerprint.of(
                agent, wiring: plan.graph.wiring(for: agent.name, runDirectory: run.path),
                stamp: dropIns.stamps[agent.name])
        }
        feedback = reading.feedback
        handover = Handover(notifySocket: run.notifySocket)
        try run.checkRoomForPredecessors()
        let inheritance = Inheritance(run)
        self.inheritance = inheritance
        predecessor = start.kept
        startComplaints = start.complaints
        fleet = Fleet(reading.spec, remembering: inheritance.memories, at: EventLoop.now())
        try check(qp_set_child_subreaper(), "prctl PR_SET_CHILD_SUBREAPER")
        try run.claim.serve(on: loop)
        try openDoors()
        inheritSockets()
        installAgents()
    }

    private func openDoors() throws {
        notify = try NotifySocket(
            path: runDirectory.notifySocket,
            inherited: handover.notify ?? inheritance?.keepsakes.takeNotify(at: runDirectory.notifySocket), loop: loop,
            isAgent: { [unowned self] in leaders[$0] != nil },
            mayBeBorn: { [unowned self] in !launcher.isQuiet },
            hearsDescendants: { [unowned self] in
                leaders[$0].flatMap { agents[$0] }?.plan.manifest.notifyAccess == .all
            },
            unheard: { [unowned self] in complain(of: $1, in: $0) },
            lost: { [unowned self] in complain(ofLost: $0) },
            receive: { [unowned self] in received($1, from: $0) })
        launcher.notifySocket = { [unowned self] in notify.handle }
        launcher.tellLoss = { [unowned self] in say($0) }
        link = try LinkServer(
            path: runDirectory.linkSocket, loop: loop,
            identify: { [unowned self] in linkPeer($0) }, mayBeBorn: { [unowned self] in !launcher.isQuiet })
        openTradingDesk()
        control = try ControlServer(
            path: runDirectory.controlSocket, loop: loop,
            receive: { [unowned self] in carryOut($1, for: $0) },
            closed: { [unowned self] in subscriptions.remove($0) })
        signalSource = try Signals(Self.signals, loop: loop) { [unowned self] in received(signal: $0) }
        loop.afterBatch = { [unowned self] in buryOrphans() }
        exits.heldBack = { [unowned self] in heldBack($0, by: $1) }
        containment.findStrays = { [unowned self] in findStrays(clearing: $0) }
        inquirer.ended = { [unowned self] in mayHaveOrphans = true }
        certificates = CertificateQueue(loop: loop) { [unowned self] in
            record(kind: "supervisor", message: $0)
            console.line($0)
        }
        serviceManager = ServiceManager(
            environment: inheritedEnvironment, pid: getpid(), loop: loop
        ) { [unowned self] in
            ServiceManager.line(fleet.snapshot().map { ($0.id.name, $0.state) })
        }
    }

    /// Serves until everything is stopped. 0: an ordered stop; 1: processes survived it. Throws, when everything is stopped,
    /// where that is because the run directory is gone.
    public func run() throws -> Int32 {
        record(kind: "supervisor", message: "supervisor \(Self.version) started, pid \(getpid())")
        console.line("supervisor \(Self.version), pid \(getpid()), \(runDirectory.path)")
        for line in startComplaints + [dropIns.note].compactMap({ $0 }) { say(line) }
        takeOver()
        keepConfiguration()
        trading.begin()
        launcher.warmUp()
        beginWatching()
        tellNotes(since: [])
        submit(.boot)
        if adopted > 0 { lookAtEverything() }
        watchRunDirectory()
        hasBegun = true
        greetOnce()
        try loop.run()
        return try end()
    }

    /// Asks for the ordered stop of everything; `run` returns when it is done. The second call hurries.
    public func requestStop() {
        stopRequests += 1
        submit(.shutdown(nil, urgent: stopRequests > 1))
    }

    // MARK: - Events in, effects out

    /// Hands an event to the fleet and carries out what it wants. Safe from within an effect: it waits its turn.
    func submit(_ event: FleetEvent) {
        if case .shutdown = event {
            abandonChanges("the supervisor is stopping", .shuttingDown)
            reserve.giveUp()
        }
        inbox.append(event)
        guard !isHandling else { return }
        isHandling = true
        defer { isHandling = false }
        repeat {
            handleInbox()
            let words = tidings
            tidings = []
            for word in words { word() }
        } while !inbox.isEmpty || !tidings.isEmpty
    }

    private func handleInbox() {
        var next = 0
        while next < inbox.count {
            let event = inbox[next]
            next += 1
            var effects: [FleetEffect] = []
            if case .shutdown = event { serviceManager.stopping(limitMs: longestStopMs) }
            fleet.handle(event, at: EventLoop.now(), jitter: random.next(), into: &effects)
            // What is decided is on record before it is done, and what was done before the next thing is decided.
            let touched = Set(effects.compactMap(\.agent) + [event.commanded].compactMap { $0 })
            for id in touched { remember(id) }
            for effect in effects { perform(effect) }
            for id in touched { remember(id) }
        }
        inbox.removeAll(keepingCapacity: true)
    }

    /// Tells of something once everything that it calls for has been done, so that no restart waits for words: from the end of
    /// an agent to its next process lie half the system calls that way. In order; for use within `submit`.
    func tell(_ words: @escaping () -> Void) {
        tidings.append(words)
    }

    private func perform(_ effect: FleetEffect) {
        switch effect {
        case .spawn(let id, let incarnation): spawn(id, incarnation)
        case .signal(let id, let incarnation, let number): signal(id, incarnation, number)
        case .killTree(let id, let incarnation): killTree(id, incarnation)
        case .arm(let id, let deadline): arm(id, deadline)
        case .transition(let transition): announce(transition)
        case .ended(let id, let report): conclude(id, report)
        case .escalated(let group, let culprit, let stopped):
            tell { [unowned self] in announce(escalation: group, culprit, stopped) }
        case .forgotten(let id): forget(id)
        // Every agent that an effect is about is.
        case .remember: break
        case .reply(let command, let outcome): tell { [unowned self] in reply(command, outcome) }
        case .fleetStopped(let survivors):
            self.survivors = survivors
            loop.stop()
        }
    }

    private func arm(_ id: AgentID, _ deadline: Instant?) {
        guard let agent = agents[id] else { return }
        if let timer = agent.timer { loop.cancel(timer) }
        agent.timer = deadline.map { [unowned self] in
            loop.schedule(at: $0) { [unowned self] in
                agents[id]?.timer = nil
                noticeReadiness(of: id)
                submit(.timer(id))
            }
        }
    }

    private func received(signal number: Int32) {
        switch number {
        case SIGTERM, SIGINT:
            console.line(stopRequests == 0 ? "stopping (once more to hurry)" : "stopping at once")
            requestStop()
        case SIGHUP: requestReload(for: nil)
        case SIGUSR2: upgrade(for: nil)
        case SIGCHLD: mayHaveOrphans = true
        default: break
        }
    }

    // MARK: - The end

    private func end() throws -> Int32 {
        hooks.fleetStopped()
        endWatching()
        // Those that were being asked about their settings when the stop was ordered.
        _ = try loop.run(untilMs: Self.lastOrphansMs) { inquirer.isQuiet }
        // Nothing is being launched any more, so every child left is an orphan that hid from its agent's end.
        loop.afterBatch = {}
        launcher.close()
        // A predecessor's launcher still keeps for us what nobody needs any more, if ours was not ready before this.
        launcher.isReady()
        _ = try loop.run(untilMs: Self.lastOrphansMs) {
            if containment.collectOrphans(living: true), groups.tree.isAloneInLeaf { return true }
            loop.schedule(afterMs: 5) {}
            return false
        }
        certificates.flush()
        trading.close("the supervisor is stopping")
        record(kind: "supervisor", message: "supervisor stopped")
        control.stopListening()
        _ = try loop.run(untilMs: Self.lastWordsMs) { control.isFlushed }
        control.close()
        link.close()
        notify.close()
        for agent in agents.values {
            agent.log.close(removing: true)
            if let group = agent.process?.group { groups.bury(group) }
            if !(survivors ?? []).contains(agent.id) { agent.life.remove() }
        }
        if (survivors ?? []).isEmpty { KeptConfiguration.remove(in: runDirectory.path) }
        groups.close()
        sockets.closeAll()
        let left = survivors ?? []
        if !left.isEmpty {
            console.line("left behind, they survive SIGKILL: \(left.map(\.name).joined(separator: ", "))")
        }
        if let lostRunDirectory { throw RunDirectory.Unusable(description: lostRunDirectory) }
        return left.isEmpty ? 0 : 1
    }
}
