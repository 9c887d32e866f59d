import CLinux
import Foundation
import Supervision
import Wire

/// Asks agents' programs about their settings while everything else goes on: through the launcher, a few at a time. The
/// thin shell around `SettingsInquiry`. Belongs to the loop's thread.
///
/// Each is a process of ours in a session of its own, without limits, as in `supervisor --check`; one that outlives its
/// time or its answer is killed with all of its session.
final class SettingsInquirer {
    /// How much less urgent than the supervisor they are: agents that trade go first.
    static let nicer: Int32 = 10
    /// What the kernel kills first when the machine runs out of memory: more readily than an agent that works.
    static let oomScoreAdjustment: Int32 = 500

    private final class Process {
        let question: SettingsQuestion
        /// Its number: the answer is of no use to another.
        let round: Int
        let words: Descriptor
        var pid: pid_t?
        var startTicks: UInt64?
        var text: [UInt8] = []
        var source: EventLoop.Source?
        var timer: EventLoop.Timer?
        var isAtEnd = false
        /// It counts no more: killed, and only waited for.
        var isGivenUp = false

        init(_ question: SettingsQuestion, round: Int, words: Descriptor) {
            self.question = question
            self.round = round
            self.words = words
        }
    }

    private struct Round {
        let number: Int
        var inquiry: SettingsInquiry
        var questions: [String: SettingsQuestion]
        var timer: EventLoop.Timer?
        let then: ([(agent: String, problems: [String])]) -> Void
    }

    private let loop: EventLoop
    private let launcher: Launcher
    private let exits: ExitWatch
    private let containment: Containment
    private let answerLimit: Nanoseconds
    /// A process of ours was reaped: it may have left orphans.
    var ended: () -> Void = {}
    /// Programs as they were read, and whether they know the question.
    private var known: [ExecutableStamp: Bool] = [:]
    /// Programs remembered; beyond it they are read again.
    private static let maxKnown = 2 * Limits.maxAgents
    private var mailbox: (mailbox: Mailbox<Reading>, source: EventLoop.Source)?
    private var round: Round?
    private var rounds = 0
    private var processes: [ObjectIdentifier: Process] = [:]

    private struct Reading: Sendable {
        let round: Int
        let known: [ExecutableStamp: Bool]
    }

    init(
        loop: EventLoop, launcher: Launcher, exits: ExitWatch, containment: Containment,
        answerLimit: Nanoseconds = SettingsInquiry.answerLimit
    ) {
        self.loop = loop
        self.launcher = launcher
        self.exits = exits
        self.containment = containment
        self.answerLimit = answerLimit
    }

    /// No process of ours is left.
    var isQuiet: Bool { processes.isEmpty }

    /// Asks everybody whose program knows the question, and says then what is wrong, by agent. One round at a time.
    func ask(
        _ questions: [SettingsQuestion], then: @escaping ([(agent: String, problems: [String])]) -> Void
    ) {
        precondition(round == nil, "one round at a time: turns are taken before")
        guard !questions.isEmpty else { return then([]) }
        rounds += 1
        let number = rounds
        let byName = Dictionary(questions.map { ($0.agent, $0) }, uniquingKeysWith: { first, _ in first })
        round = Round(
            number: number, inquiry: SettingsInquiry([], at: EventLoop.now()), questions: byName, then: then)
        var unread: [ExecutableStamp: String] = [:]
        for question in questions {
            guard let stamp = ExecutableStamp(of: question.executable), known[stamp] == nil else { continue }
            unread[stamp] = question.executable
        }
        guard !unread.isEmpty else { return begin(number) }
        do {
            let box = try openMailbox()
            // Whole programs are read: tens of megabytes, from a disk that may be slow.
            let paths = unread
            Thread.detachNewThread {
                box.post(Reading(round: number, known: paths.mapValues { SettingsQuestion.isKnown(to: $0) }))
            }
        } catch {
            conclude(questions.map { ($0.agent, $0.problems(.notStarted(reason: "\(error)"), [])) })
        }
    }

    /// Forgets what was asked; nobody is told. Its processes die, see ``isQuiet``.
    func cancel() {
        if let timer = round?.timer { loop.cancel(timer) }
        round = nil
        for process in processes.values { giveUp(process) }
    }

    // MARK: - A round

    private func openMailbox() throws -> Mailbox<Reading> {
        if let mailbox { return mailbox.mailbox }
        let box = try Mailbox<Reading>()
        let source = try box.attach(to: loop) { [unowned self] reading in
            if known.count + reading.known.count > Self.maxKnown { known = [:] }
            known.merge(reading.known) { $1 }
            begin(reading.round)
        }
        mailbox = (box, source)
        return box
    }

    private func begin(_ number: Int) {
        guard round?.number == number, let questions = round?.questions else { return }
        // What has no stamp is gone: its launch says so.
        let asked = questions.values.filter { question in
            ExecutableStamp(of: question.executable).map { known[$0] ?? true } ?? true
        }
        let inquiry = SettingsInquiry(asked.map(\.agent).sorted(), at: EventLoop.now())
        round?.inquiry = inquiry
        round?.timer = loop.schedule(at: inquiry.deadline) { [unowned self] in
            guard round?.number == number else { return }
            round?.inquiry.expire()
            for process in processes.values { giveUp(process) }
            advance()
        }
        advance()
    }

    private func advance() {
        while let name = round?.inquiry.take(), let question = round?.questions[name] { launch(question) }
        guard let inquiry = round?.inquiry, inquiry.isOver else { return }
        conclude(inquiry.refusals)
    }

    private func conclude(_ refusals: [(agent: String, problems: [String])]) {
        guard let round else { return }
        if let timer = round.timer { loop.cancel(timer) }
        self.round = nil
        round.then(refusals)
    }

    // MARK: - A process

    private func launch(_ question: SettingsQuestion) {
        let ends: (read: Descriptor, write: Descriptor)
        let null: Descriptor
        let process: Process
        do {
            ends = try Descriptor.pipe()
            null = try Descriptor.open("/dev/null", O_RDWR)
            try check(qp_set_nonblocking(ends.read.raw), "fcntl")
            process = Process(question, round: rounds, words: ends.read)
            process.source = try loop.add(ends.read.raw, .readable) { [unowned self, unowned process] _ in
                read(process)
            }
        } catch {
            round?.inquiry.answer(question.agent, question.problems(.notStarted(reason: "\(error)"), []))
            return
        }
        processes[ObjectIdentifier(process)] = process
        process.timer = loop.schedule(at: EventLoop.now() + answerLimit) {
            [unowned self, unowned process] in
            process.timer = nil
            giveUp(process)
            answer(process, .silent)
        }
        launcher.launch(
            Self.request(question), output: null.raw, error: ends.write.raw,
            isWanted: { !process.isGivenUp }
        ) { [unowned self] report in
            ends.write.close()
            null.close()
            launched(process, report)
        }
    }

    private static func request(_ question: SettingsQuestion) -> LaunchRequest {
        var request = LaunchRequest(
            executable: question.executable, arguments: [question.executable] + question.arguments,
            environment: question.environment, workingDirectory: question.folder)
        request.oomScoreAdjustment = oomScoreAdjustment
        request.isPassing = true
        request.nice = min(19, getpriority(Int32(PRIO_PROCESS.rawValue), 0) + nicer)
        return request
    }

    private func launched(_ process: Process, _ report: Launcher.Report) {
        switch report {
        case .spawned(let pid, _):
            process.pid = pid
            process.startTicks = ProcessTable.row(of: pid)?.startTicks
            do {
                try exits.watch(pid) { [unowned self] in exited(process, $0) }
            } catch {
                _ = Glibc.kill(pid, SIGKILL)
                ended()
                return fail(process, "\(error)")
            }
            if process.isGivenUp { kill(process) }
        case .running: break
        case .failed(let failure, _?):
            // It is on its way to exit 127, and buried by its pidfd.
            answer(process, .notStarted(reason: failure.message))
        case .failed(let failure, nil):
            // A launcher that was lost may have made it.
            if failure.stage == .launcher { kill(process) }
            fail(process, failure.message)
        }
    }

    /// There is no process to wait for.
    private func fail(_ process: Process, _ reason: String) {
        forget(process)
        answer(process, .notStarted(reason: reason))
    }

    private func exited(_ process: Process, _ exit: ChildExit) {
        launcher.settle(exit.pid)
        read(process)
        // Whoever still holds the pipe is a child that it left.
        if !process.isAtEnd { kill(process) }
        forget(process)
        ended()
        answer(process, .ended(exit.ending))
    }

    private func answer(_ process: Process, _ outcome: SettingsQuestion.Outcome) {
        let question = process.question
        guard round?.number == process.round else { return }
        round?.inquiry.answer(question.agent, question.problems(outcome, process.text))
        advance()
    }

    private func giveUp(_ process: Process) {
        guard !process.isGivenUp else { return }
        process.isGivenUp = true
        if let timer = process.timer { loop.cancel(timer) }
        process.timer = nil
        if process.pid != nil { kill(process) }
    }

    private func kill(_ process: Process) {
        if let pid = process.pid { exits.signal(pid, SIGKILL) }
        var target = Containment.Target(agent: process.question.agent, incarnation: 0, leader: process.pid)
        target.leaderStart = process.startTicks
        containment.clear(target) {}
    }

    private func forget(_ process: Process) {
        process.isGivenUp = true
        if let timer = process.timer { loop.cancel(timer) }
        process.timer = nil
        if let source = process.source { loop.remove(source) }
        process.source = nil
        process.words.close()
        processes[ObjectIdentifier(process)] = nil
    }

    /// More than is told is read and dropped, so that a talkative one does not block.
    private func read(_ process: Process) {
        guard process.source != nil, !process.isAtEnd else { return }
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = retryingInterrupts { Glibc.read(process.words.raw, &chunk, chunk.count) }
            if count == -1, errno == EAGAIN { return }
            guard count > 0 else { break }
            let room = SettingsQuestion.maxOutputBytes - process.text.count
            process.text += chunk[..<count].prefix(max(0, room))
        }
        process.isAtEnd = true
        if let source = process.source { loop.remove(source) }
        process.source = nil
    }
}
