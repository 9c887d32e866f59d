import CLinux
import Foundation
import Wire

/// Starts agents through one warm `agent-launcher`: a request costs a fork of a tiny process and
/// never waits. What the launcher is only told waits for room, at most `noticeTimeoutMs`.
///
/// The launcher is started by `ProcessSpawner` at first use, and again at once whenever it is gone, because it is what stops agents
/// that are not to outlive us (`Keeper.h`). Requests queue meanwhile.
/// Each request ends in exactly one `.failed`, or in `.spawned` followed by exactly one of `.running` and `.failed`.
/// Belongs to the loop's thread.
public final class Launcher {
    public enum Report: Sendable {
        /// The process exists, as our direct child; it has not executed the agent's program yet.
        /// `isContained`: it was born in the cgroup it was meant for.
        case spawned(pid: pid_t, isContained: Bool)
        /// `execve` succeeded: from here on the process is the agent's own program.
        case running(pid: pid_t)
        /// No program runs. A `pid` is a child that will exit by itself and is still to be reaped.
        case failed(LaunchFailure, pid: pid_t?)
    }

    /// The launcher answers in microseconds; after this it is replaced.
    public static let answerTimeoutMs: Int64 = 5_000
    /// Launchers that may fail in a row before waiting requests fail with them.
    static let launcherAttempts = 2
    /// Pause while the kernel takes no more descriptors in flight (ETOOMANYREFS), which no event tells the end of.
    static let descriptorsPauseMs: Int64 = 10
    /// How long room is waited for to tell the launcher something that it need not answer.
    static let noticeTimeoutMs: Int64 = 100
    /// One that was lost before this age is replaced after a pause, which doubles, from the first to the longest.
    static let provenAge = Nanoseconds.seconds(10)
    static let firstPauseMs: Int64 = 100
    static let longestPauseMs: Int64 = 60_000
    /// Attempts to replace it; ten minutes with the pauses. After that a request for an agent begins anew.
    static let replacements = 18

    private final class Launch {
        let request: LaunchRequest
        let descriptors: [Int32]
        /// The file for its birth; nil: none is written.
        let birth: Int32?
        let inherited: Int
        let joined: Int
        let joinsNetwork: Bool
        let intoCgroup: Bool
        let status: Descriptor
        let statusForChild: Descriptor
        let isWanted: () -> Bool
        let report: (Report) -> Void
        var attempts = 0
        var pid: pid_t?
        var source: EventLoop.Source?

        init(
            _ request: LaunchRequest, descriptors: [Int32], birth: Int32?, inherited: Int, joined: Int,
            joinsNetwork: Bool, intoCgroup: Bool, isWanted: @escaping () -> Bool, report: @escaping (Report) -> Void
        ) throws {
            self.request = request
            self.descriptors = descriptors
            self.birth = birth
            self.inherited = inherited
            self.joined = joined
            self.joinsNetwork = joinsNetwork
            self.intoCgroup = intoCgroup
            self.isWanted = isWanted
            self.report = report
            (status, statusForChild) = try Descriptor.pipe()
            try check(qp_set_nonblocking(status.raw), "fcntl")
        }
    }

    private enum Channel {
        case absent
        /// Foundation is at work on another thread.
        case starting(socket: Descriptor, generation: Int)
        case open(socket: Descriptor, source: EventLoop.Source, pidfd: Descriptor?, generation: Int)
    }

    private let executable: String
    /// Where it keeps what a successor of ours needs; nil: nowhere.
    private let keeper: String?
    /// Living agents that a launcher does not know from having made them: told to each when it starts.
    var unknown: (_ tell: (Keepsake) -> Void) -> Void = { _ in }
    /// Called once each new launcher knows them.
    var isReady: () -> Void = {}
    /// The socket that it keeps open for a successor; nil: none.
    var notifySocket: () -> Int32? = { nil }
    /// Hears in a sentence of each launcher that was lost, and whether another is there.
    var tellLoss: (String) -> Void = { _ in }
    private let loop: EventLoop
    private let mailbox: Mailbox<ProcessSpawner.Outcome>
    private let spawner: ProcessSpawner
    private var mailboxSource: EventLoop.Source?
    private var channel = Channel.absent
    private var generation = 0
    private var nextID: UInt64 = 1
    private var waiting: [UInt64: Launch] = [:]
    private var sent: [UInt64: Launch] = [:]
    private var executing: [UInt64: Launch] = [:]
    private var timeout: EventLoop.Timer?
    /// The launcher's socket is full: the rest is sent when there is room.
    private var isAwaitingRoom = false

    /// No process is being made: every child of ours is known by its pid.
    public var isQuiet: Bool { sent.isEmpty }

    /// Why the last one was lost, until another is there.
    private var loss: (reason: String, isTold: Bool)?
    /// Attempts in a row that failed, or made one that did not last.
    private var failures = 0
    private var openedAt = Instant.zero
    private var replacement: EventLoop.Timer?
    private var isClosed = false

    /// When each launcher began, by its pid, in clock ticks since boot.
    private var launchers: [pid_t: UInt64] = [:]
    /// Pids of all launchers there were.
    var launcherPids: Set<pid_t> { Set(launchers.keys) }

    /// Whether this process is Foundation's to reap. A launcher's number may be somebody else's since.
    public func isLauncher(_ pid: pid_t) -> Bool {
        guard let start = launchers[pid] else { return false }
        guard let row = ProcessTable.row(of: pid), row.startTicks != start else { return true }
        launchers[pid] = nil
        return false
    }

    /// `executable`: absolute path of `agent-launcher`; `keeper`: the socket of what it keeps (`Keeper.h`).
    public init(executable: String, keeper: String? = nil, loop: EventLoop) throws {
        self.executable = executable
        self.keeper = keeper
        self.loop = loop
        let mailbox = try Mailbox<ProcessSpawner.Outcome>()
        self.mailbox = mailbox
        spawner = ProcessSpawner { mailbox.post($0) }
        mailboxSource = try mailbox.attach(to: loop) { [weak self] in self?.launcherStarted($0) }
    }

    deinit { spawner.end() }

    /// Starts the launcher before anybody needs it.
    public func warmUp() { startLauncherIfNeeded() }

    /// Asks for one process, which writes its `Birth` to the file `birth` first. `output`/`error` become its descriptors 1
    /// and 2, `inherited` 3, 4, …; `joined` are open files of control groups it enters before its first instruction, `network` the network namespace it enters,
    /// `cgroup` a cgroup v2 directory it is born in if the kernel can. All stay the caller's to close, once `report`
    /// heard anything. `isWanted` is asked when a launcher is there to take the request: it may have waited long.
    public func launch(
        _ request: LaunchRequest, output: Int32, error: Int32, birth: Int32? = nil, inherited: [Int32] = [],
        joined: [Int32] = [], network: Int32? = nil, cgroup: Int32? = nil,
        isWanted: @escaping () -> Bool = { true }, report: @escaping (Report) -> Void
    ) {
        do {
            let launch = try Launch(
                request,
                descriptors: [output, error, birth ?? output] + inherited + joined
                    + [network, cgroup].compactMap { $0 },
                birth: birth, inherited: inherited.count, joined: joined.count, joinsNetwork: network != nil,
                intoCgroup: cgroup != nil, isWanted: isWanted, report: report)
            waiting[nextID] = launch
            nextID += 1
            pump()
        } catch {
            let code = (error as? PosixError)?.code ?? 0
            report(.failed(LaunchFailure(stage: .descriptors, code: code, message: "\(error)"), pid: nil))
        }
    }

    /// Lets the launcher go. Requests still waiting fail.
    public func close() {
        isClosed = true
        if let replacement { loop.cancel(replacement) }
        replacement = nil
        failAll("the supervisor is stopping")
        tell(Self.notice(QP_NOTICE_DISMISS))
        dropChannel(kill: false)
        if let mailboxSource { loop.remove(mailboxSource) }
        mailboxSource = nil
    }

    /// The supervisor is about to execute another program, or could not: its end is not a loss then.
    func announceUpgrade(_ isUnderWay: Bool) { tell(Self.notice(QP_NOTICE_UPGRADE, isUnderWay ? 1 : 0)) }

    /// A new launcher hears of those it did not start. One that takes no more is silent for other reasons, and soon replaced.
    private func tellUnknown() {
        var isTaking = true
        unknown { if isTaking { isTaking = tell($0.message, [$0.pidfd, $0.output, $0.error]) } }
    }

    /// Unlike a request, what is told waits for room: at most `Self.noticeTimeoutMs`.
    @discardableResult
    private func tell(_ notice: [UInt8], _ descriptors: [Int32] = []) -> Bool {
        guard case .open(let socket, _, _, _) = channel else { return false }
        let deadline = EventLoop.now() + .milliseconds(Self.noticeTimeoutMs)
        while true {
            let sent = qp_send_with_fds(
                socket.raw, notice, notice.count, descriptors, Int32(descriptors.count), Int32(MSG_DONTWAIT))
            if sent == notice.count { return true }
            let left = (deadline - EventLoop.now()).milliseconds
            guard errno == EAGAIN, left > 0 else { return false }
            var room = pollfd(fd: socket.raw, events: Int16(POLLOUT), revents: 0)
            _ = poll(&room, 1, Int32(left.rounded(.up)))
        }
    }

    // MARK: - Requests

    private func pump() {
        guard !waiting.isEmpty else { return }
        guard case .open(let socket, _, _, _) = channel else { return startLauncherIfNeeded() }
        for (id, launch) in waiting.sorted(by: { $0.key < $1.key }) {
            guard !isAwaitingRoom else { break }
            waiting[id] = nil
            send(launch, id, over: socket)
            guard case .open = channel else { return }
        }
        // Only answers put it off: new requests, however many, do not make a silent launcher a working one.
        if timeout == nil { watchForSilence() }
    }

    private func awaitRoom(_ isFull: Bool) {
        guard isAwaitingRoom != isFull, case .open(_, let source, _, _) = channel else { return }
        isAwaitingRoom = isFull
        try? loop.change(source, isFull ? [.readable, .writable] : .readable)
    }

    private func turn(_ socket: Descriptor, _ readiness: EventLoop.Readiness) {
        if readiness.contains(.writable) {
            awaitRoom(false)
            pump()
        }
        // It may have been given up meanwhile.
        guard case .open(let current, _, _, _) = channel, current === socket, readiness != .writable else { return }
        receive(from: socket)
    }

    private func send(_ launch: Launch, _ id: UInt64, over socket: Descriptor) {
        guard launch.isWanted() else {
            let failure = LaunchFailure(stage: .request, code: 0, message: "it is not wanted any more")
            return launch.report(.failed(failure, pid: nil))
        }
        let bytes: [UInt8]
        do throws(LaunchRequest.Invalid) {
            bytes = try launch.request.encoded(
                id: id, recordsBirth: launch.birth != nil, inherited: launch.inherited, joined: launch.joined,
                joinsNetwork: launch.joinsNetwork, intoCgroup: launch.intoCgroup)
        } catch {
            return launch.report(
                .failed(LaunchFailure(stage: .request, code: 0, message: error.description), pid: nil))
        }
        let descriptors = [launch.statusForChild.raw] + launch.descriptors
        let result = qp_send_with_fds(
            socket.raw, bytes, bytes.count, descriptors, Int32(descriptors.count), Int32(MSG_DONTWAIT))
        if result == bytes.count {
            launch.statusForChild.close()
            sent[id] = launch
        } else if result == -1, errno == EAGAIN {
            // Many at once, or it hangs: its silence tells.
            waiting[id] = launch
            awaitRoom(true)
        } else if result == -1, errno == ETOOMANYREFS {
            waiting[id] = launch
            isAwaitingRoom = true
            loop.schedule(afterMs: Self.descriptorsPauseMs) { [weak self] in
                self?.isAwaitingRoom = false
                self?.pump()
            }
        } else {
            // Nothing was taken: the launcher is gone.
            launch.attempts += 1
            waiting[id] = launch
            launcherLost("agent-launcher does not take requests: \(PosixError.reason(errno))")
        }
    }

    private func receive(from socket: Descriptor) {
        while true {
            var reply = qp_launch_reply()
            let size = MemoryLayout<qp_launch_reply>.size
            let got = retryingInterrupts { recv(socket.raw, &reply, size, Int32(MSG_DONTWAIT)) }
            if got == -1, errno == EAGAIN { break }
            guard got == size, reply.magic == UInt32(QP_LAUNCH_MAGIC) else {
                return launcherLost("agent-launcher ended unexpectedly")
            }
            guard let launch = sent.removeValue(forKey: reply.id) else { continue }
            if reply.pid > 0 {
                launch.pid = reply.pid
                launch.report(.spawned(pid: reply.pid, isContained: reply.in_cgroup != 0))
                watchExecution(of: launch, id: reply.id)
            } else {
                let failure = LaunchFailure(stage: reply.stage, code: reply.error, request: launch.request)
                launch.report(.failed(failure, pid: nil))
            }
        }
        watchForSilence()
    }

    /// The status pipe closes at `execve`; a record in it is the reason why there was none.
    private func watchExecution(of launch: Launch, id: UInt64) {
        executing[id] = launch
        if concludeExecution(id) { return }
        do {
            launch.source = try loop.add(launch.status.raw, .readable) { [weak self] _ in
                _ = self?.concludeExecution(id)
            }
        } catch {
            executing[id] = nil
            let message = "cannot watch the start of the agent: \(error)"
            launch.report(.failed(LaunchFailure(stage: .launcher, code: 0, message: message), pid: launch.pid))
        }
    }

    private func concludeExecution(_ id: UInt64) -> Bool {
        guard let launch = executing[id], let pid = launch.pid else { return true }
        var failure = qp_launch_failure()
        let size = MemoryLayout<qp_launch_failure>.size
        let got = retryingInterrupts { read(launch.status.raw, &failure, size) }
        if got == -1, errno == EAGAIN { return false }
        executing[id] = nil
        if let source = launch.source { loop.remove(source) }
        launch.status.close()
        if got == size {
            let reason = LaunchFailure(stage: failure.stage, code: failure.error, request: launch.request)
            launch.report(.failed(reason, pid: pid))
        } else {
            launch.report(.running(pid: pid))
        }
        return true
    }

    /// For a process seen to have ended: its `.running` or `.failed`, if still owed, is reported now.
    public func settle(_ pid: pid_t) {
        for (id, launch) in executing where launch.pid == pid { _ = concludeExecution(id) }
    }

    // MARK: - The launcher's own life

    private func startLauncherIfNeeded() {
        guard case .absent = channel else { return }
        generation += 1
        var pair: [Int32] = [-1, -1]
        guard qp_launch_socketpair(&pair) == 0 else {
            let reason = errno == EMFILE ? DescriptorReserve.shortage : PosixError.reason(errno)
            return notStarted("no socket for agent-launcher: \(reason)")
        }
        channel = .starting(socket: Descriptor(pair[0]), generation: generation)
        spawner.start(
            executable: executable, arguments: keeper.map { [$0] } ?? [], socket: pair[1], generation: generation)
        watchForSilence()
    }

    private func launcherStarted(_ outcome: ProcessSpawner.Outcome) {
        switch outcome {
        case .started(let pid, let number):
            launchers[pid] = ProcessTable.row(of: pid)?.startTicks ?? 0
            let pidfd = qp_pidfd_open(pid)
            let handle = pidfd >= 0 ? Descriptor(pidfd) : nil
            guard case .starting(let socket, number) = channel else { return }
            do {
                let source = try loop.add(socket.raw, .readable) { [weak self] in self?.turn(socket, $0) }
                channel = .open(socket: socket, source: source, pidfd: handle, generation: number)
                openedAt = EventLoop.now()
                if keeper != nil {
                    if let kept = notifySocket() { tell(Self.notice(QP_NOTICE_SOCKET), [kept]) }
                    tellUnknown()
                }
                tellReplaced(by: pid)
                isReady()
                pump()
                // It is here: from now on it is silent only where it owes an answer.
                watchForSilence()
            } catch {
                notStarted("\(error)")
            }
        case .failed(let message, let number):
            guard case .starting(_, number) = channel else { return }
            notStarted(message)
        }
    }

    /// One timer while answers are outstanding, none otherwise.
    private func watchForSilence() {
        if let timeout { loop.cancel(timeout) }
        timeout = nil
        var isStarting = false
        if case .starting = channel { isStarting = true }
        guard isStarting || !sent.isEmpty || isAwaitingRoom else { return }
        timeout = loop.schedule(afterMs: Self.answerTimeoutMs) { [weak self] in
            self?.timeout = nil
            self?.launcherLost("agent-launcher did not answer within \(Self.answerTimeoutMs) ms")
        }
    }

    private func launcherLost(_ message: String) {
        if case .open = channel, EventLoop.now() - openedAt >= Self.provenAge { failures = 0 } else { failures += 1 }
        dropChannel(kill: true)
        if loss == nil { loss = (message, false) }
        // A request already handed over may have started its process: it is not repeated, so that never two run.
        for (_, launch) in sent.sorted(by: { $0.key < $1.key }) {
            launch.report(.failed(LaunchFailure(stage: .launcher, code: 0, message: message), pid: nil))
        }
        sent = [:]
        for (id, launch) in waiting.sorted(by: { $0.key < $1.key }) where launch.attempts >= Self.launcherAttempts {
            waiting[id] = nil
            launch.report(.failed(LaunchFailure(stage: .launcher, code: 0, message: message), pid: nil))
        }
        pump()
        replace(message)
    }

    // MARK: - Its replacement

    /// Starts another, unless one is on its way: at once, or after a pause where that has just failed. Nobody waits for it.
    private func replace(_ reason: String) {
        guard !isClosed, loss != nil, replacement == nil, case .absent = channel else { return }
        guard failures > 0 else { return startLauncherIfNeeded() }
        guard failures <= Self.replacements else {
            return tellLoss("agent-launcher is still not there: \(reason); the next start of an agent tries again")
        }
        let pause = min(Self.firstPauseMs << Int64(failures - 1), Self.longestPauseMs)
        replacement = loop.schedule(afterMs: pause) { [weak self] in
            self?.replacement = nil
            self?.startLauncherIfNeeded()
        }
    }

    private func notStarted(_ reason: String) {
        dropChannel(kill: false)
        failAll(reason)
        guard let lost = loss else { return }
        failures += 1
        if !lost.isTold {
            loss?.isTold = true
            tellLoss(
                "\(lost.reason), and another can't be started yet: \(reason); until one is there, no agent can start, and "
                    + "\"onSupervisorLoss\": \"stop\" holds for agents on AgentKit alone")
        }
        replace(reason)
    }

    private func tellReplaced(by pid: pid_t) {
        guard let lost = loss else { return }
        loss = nil
        tellLoss(
            lost.isTold ? "agent-launcher is there again, pid \(pid)" : "\(lost.reason), and is replaced by pid \(pid)")
    }

    private func dropChannel(kill: Bool) {
        if let timeout { loop.cancel(timeout) }
        timeout = nil
        if case .open(let socket, let source, let pidfd, _) = channel {
            loop.remove(source)
            socket.close()
            if kill, let pidfd { _ = qp_pidfd_send_signal(pidfd.raw, SIGKILL) }
        }
        channel = .absent
        isAwaitingRoom = false
    }

    private func failAll(_ message: String) {
        let all = waiting.merging(sent) { first, _ in first }.sorted { $0.key < $1.key }
        waiting = [:]
        sent = [:]
        for (_, launch) in all {
            launch.report(.failed(LaunchFailure(stage: .launcher, code: 0, message: message), pid: nil))
        }
    }
}
