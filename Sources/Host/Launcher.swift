import CLinux
import Foundation

/// Starts agents through one warm `agent-launcher`: a request costs a fork of a tiny process, and nothing here waits.
///
/// The launcher is started by `ProcessSpawner` at first use and again whenever it is gone. Requests queue meanwhile.
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
        let report: (Report) -> Void
        var attempts = 0
        var pid: pid_t?
        var source: EventLoop.Source?

        init(
            _ request: LaunchRequest, descriptors: [Int32], birth: Int32?, inherited: Int, joined: Int,
            joinsNetwork: Bool, intoCgroup: Bool, report: @escaping (Report) -> Void
        ) throws {
            self.request = request
            self.descriptors = descriptors
            self.birth = birth
            self.inherited = inherited
            self.joined = joined
            self.joinsNetwork = joinsNetwork
            self.intoCgroup = intoCgroup
            self.report = report
            (status, statusForChild) = try Descriptor.pipe()
            try check(qp_set_nonblocking(status.raw), "fcntl")
        }
    }

    private enum Channel {
        case absent
        /// Foundation is at work on another thread.
        case starting(socket: Descriptor, generation: Int)
        case open(socket: Descriptor, source: EventLoop.Source, pid: pid_t, generation: Int)
    }

    private let executable: String
    /// Where it keeps what a successor of ours needs; nil: nowhere.
    private let keeper: String?
    /// Living agents that a launcher does not know from having made them: told to each when it starts.
    var unknown: (_ tell: (Keepsake) -> Void) -> Void = { _ in }
    /// Called once each new launcher knows them.
    var isReady: () -> Void = {}
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

    /// No process is being made: every child of ours is known by its pid.
    public var isQuiet: Bool { sent.isEmpty }

    /// Pids that are Foundation's to reap.
    public private(set) var launcherPids: Set<pid_t> = []

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
    /// heard anything.
    public func launch(
        _ request: LaunchRequest, output: Int32, error: Int32, birth: Int32? = nil, inherited: [Int32] = [],
        joined: [Int32] = [], network: Int32? = nil, cgroup: Int32? = nil, report: @escaping (Report) -> Void
    ) {
        do {
            let launch = try Launch(
                request,
                descriptors: [output, error, birth ?? output] + inherited + joined
                    + [network, cgroup].compactMap { $0 },
                birth: birth, inherited: inherited.count, joined: joined.count, joinsNetwork: network != nil,
                intoCgroup: cgroup != nil, report: report)
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
        failAll("the supervisor is stopping")
        tell(Self.notice(QP_NOTICE_DISMISS))
        dropChannel(kill: false)
        if let mailboxSource { loop.remove(mailboxSource) }
        mailboxSource = nil
    }

    /// The supervisor is about to execute another program, or could not: its end is not a loss then.
    func announceUpgrade(_ isUnderWay: Bool) { tell(Self.notice(QP_NOTICE_UPGRADE, isUnderWay ? 1 : 0)) }

    private func tell(_ notice: [UInt8], _ descriptors: [Int32] = []) {
        guard case .open(let socket, _, _, _) = channel else { return }
        _ = qp_send_with_fds(socket.raw, notice, notice.count, descriptors, Int32(descriptors.count))
    }

    // MARK: - Requests

    private func pump() {
        guard !waiting.isEmpty else { return }
        guard case .open(let socket, _, _, _) = channel else { return startLauncherIfNeeded() }
        for (id, launch) in waiting.sorted(by: { $0.key < $1.key }) {
            waiting[id] = nil
            send(launch, id, over: socket)
            guard case .open = channel else { return }
        }
        watchForSilence()
    }

    private func send(_ launch: Launch, _ id: UInt64, over socket: Descriptor) {
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
        let result = qp_send_with_fds(socket.raw, bytes, bytes.count, descriptors, Int32(descriptors.count))
        if result == bytes.count {
            launch.statusForChild.close()
            sent[id] = launch
        } else {
            // Nothing was taken: the launcher is gone, or its socket is full because it hangs.
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
            return failAll("no socket for agent-launcher: \(PosixError.reason(errno))")
        }
        channel = .starting(socket: Descriptor(pair[0]), generation: generation)
        spawner.start(
            executable: executable, arguments: keeper.map { [$0] } ?? [], socket: pair[1], generation: generation)
        watchForSilence()
    }

    private func launcherStarted(_ outcome: ProcessSpawner.Outcome) {
        switch outcome {
        case .started(let pid, let number):
            launcherPids.insert(pid)
            guard case .starting(let socket, number) = channel else { return }
            do {
                let source = try loop.add(socket.raw, .readable) { [weak self] _ in self?.receive(from: socket) }
                channel = .open(socket: socket, source: source, pid: pid, generation: number)
                if keeper != nil { unknown { tell($0.message, [$0.pidfd, $0.output, $0.error]) } }
                isReady()
                pump()
            } catch {
                channel = .absent
                failAll("\(error)")
            }
        case .failed(let message, let number):
            guard case .starting(_, number) = channel else { return }
            channel = .absent
            failAll(message)
        }
    }

    /// One timer while answers are outstanding, none otherwise.
    private func watchForSilence() {
        if let timeout { loop.cancel(timeout) }
        timeout = nil
        var isStarting = false
        if case .starting = channel { isStarting = true }
        guard isStarting || !sent.isEmpty else { return }
        timeout = loop.schedule(afterMs: Self.answerTimeoutMs) { [weak self] in
            self?.launcherLost("agent-launcher did not answer within \(Self.answerTimeoutMs) ms")
        }
    }

    private func launcherLost(_ message: String) {
        dropChannel(kill: true)
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
    }

    private func dropChannel(kill: Bool) {
        if let timeout { loop.cancel(timeout) }
        timeout = nil
        if case .open(let socket, let source, let pid, _) = channel {
            loop.remove(source)
            socket.close()
            // Foundation reaps it, so the pid may be stale by now: only a process that is still our launcher is shot.
            if kill, let comm = readSmallFile("/proc/\(pid)/comm"), comm.starts(with: Array("agent-launcher".utf8)) {
                _ = Glibc.kill(pid, SIGKILL)
            }
        }
        channel = .absent
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
