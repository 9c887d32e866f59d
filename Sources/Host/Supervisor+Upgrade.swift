import CLinux
import Foundation
import Supervision
import Wire

/// Replaces the supervisor's own program while every agent runs on: same pid, same children, and the way of a crash.
extension Supervisor {
    /// How long launches that are under way may take before the change.
    static let quietLimitMs: Int64 = 5_000

    static let leaving = "the supervisor is being upgraded; try again when its new program serves"

    /// Checks the program at our own path, then executes it. A bad one changes nothing, and the asker hears why. What is wrong on
    /// the disk is no reason against it: it takes over what is in force.
    func upgrade(for request: CommandTable.Pending?) {
        let request = request ?? CommandTable.Pending(verb: "upgrade", client: nil, requestID: nil, agents: [])
        guard !isUpgrading else { return refuseUpgrade(request, "an upgrade is under way already") }
        guard !isStopping else { return refuseUpgrade(request, "the supervisor is stopping") }
        // What it is to judge, and to take over.
        if (try? KeptConfiguration.read(in: runDirectory.path)) == nil { keepConfiguration() }
        let check = UpgradeCheck(
            program: options.program, configurationFile: options.configurationFile, runDirectory: runDirectory.path)
        do {
            let mailbox = try Mailbox<String?>()
            let source = try mailbox.attach(to: loop) { [unowned self] problem in
                if let source = upgradeMailbox?.source { loop.remove(source) }
                upgradeMailbox = nil
                if let problem { giveUpUpgrade(request, problem) } else { prepareUpgrade(request) }
            }
            upgradeMailbox = (mailbox, source)
            isUpgrading = true
            Thread.detachNewThread { mailbox.post(check.run()) }
        } catch {
            refuseUpgrade(request, "\(error)")
        }
    }

    private func giveUpUpgrade(_ request: CommandTable.Pending, _ problem: String) {
        isUpgrading = false
        refuseUpgrade(request, problem)
        advanceChanges()
    }

    private func refuseUpgrade(_ request: CommandTable.Pending, _ problem: String) {
        record(kind: "upgrade", message: "upgrade refused, nothing has changed: \(problem)")
        console.line("upgrade refused: \(problem)")
        request.client?.refuse(
            request.requestID, ControlError(.refused, "upgrade refused, nothing has changed: \(problem)"))
    }

    /// The new program is good, and takes over as soon as nothing is being made.
    var isLeaving: Bool { isUpgrading && upgradeMailbox == nil }

    private func prepareUpgrade(_ request: CommandTable.Pending) {
        abandonChanges(Self.leaving, .refused)
        let deadline = EventLoop.now() + .milliseconds(Self.quietLimitMs)
        whenQuiet(until: deadline) { [unowned self] in
            guard !isStopping else { return giveUpUpgrade(request, "the supervisor is stopping") }
            record(kind: "upgrade", message: "executing \(options.program)")
            console.line("upgrading: executing \(options.program), pid \(getpid()) stays")
            request.client?.answer(
                request.requestID, CommandReport(message: "upgrading, pid \(getpid()) stays", agents: []))
            trading.close("the supervisor is being upgraded")
            // The answer gets its chance to leave before the connection ends.
            let words = EventLoop.now() + .milliseconds(Self.lastWordsMs)
            whenFlushed(until: words) { [unowned self] in execute() }
        }
    }

    private func whenQuiet(until deadline: Instant, _ then: @escaping () -> Void) {
        if isStopping || (launcher.isQuiet && inquirer.isQuiet) || EventLoop.now() >= deadline { return then() }
        loop.schedule(afterMs: 2) { [unowned self] in whenQuiet(until: deadline, then) }
    }

    private func whenFlushed(until deadline: Instant, _ then: @escaping () -> Void) {
        if isStopping || control.isFlushed || EventLoop.now() >= deadline { return then() }
        loop.schedule(afterMs: 2) { [unowned self] in whenFlushed(until: deadline, then) }
    }

    private func execute() {
        defer {
            isUpgrading = false
            advanceChanges()
        }
        // A stop that came meanwhile goes first: a new program would start everything again.
        guard !isStopping else {
            return record(kind: "upgrade", message: "upgrade given up: the supervisor is stopping")
        }
        for id in agents.keys { remember(id) }
        certificates.flush()
        for agent in agents.values { agent.log.takeWaiting() }
        link.announceUpgrade()
        launcher.announceUpgrade(true)
        let kept = runDirectory.claim.handles + [notify.handle] + sockets.handles + agents.values.flatMap(\.log.handles)
        setenv(OpenFilesLimit.variable, String(openFiles.soft), 1)
        let error = Handover.execute(
            options.program, CommandLine.arguments, of: runDirectory.path, keeping: kept)
        launcher.announceUpgrade(false)
        unsetenv(OpenFilesLimit.variable)
        record(kind: "upgrade", message: "upgrade failed, nothing has changed: \(error)")
        console.line("upgrade failed: \(error)")
    }
}
