import CLinux
import Foundation
import Synchronization

/// The one place where `Foundation.Process` is used, on one long-lived thread.
///
/// It starts `agent-launcher` only. Agents are the launcher's forks with the supervisor as their parent (CLONE_PARENT),
/// so that Foundation, which learns of exits from a socket every descendant would inherit and reaps on its own thread,
/// never knows them: their exits are ours alone to see and to reap. The thread never ends, because the kernel ties
/// parent-death signals and a child's inherited signal mask to the thread that spawned it.
final class ProcessSpawner: Sendable {
    enum Outcome: Sendable {
        /// The launcher runs; its pid is Foundation's to reap, never ours.
        case started(pid: pid_t, generation: Int)
        case failed(message: String, generation: Int)
    }

    private enum Job: Sendable {
        case start(executable: String, arguments: [String], socket: Int32, generation: Int)
        case end
    }

    private let jobs = Mutex<[Job]>([])
    private let pending = DispatchSemaphore(value: 0)
    private let report: @Sendable (Outcome) -> Void

    init(report: @escaping @Sendable (Outcome) -> Void) {
        self.report = report
        let thread = Thread { [self] in self.serve() }
        thread.name = "spawner"
        thread.start()
    }

    /// Starts `executable` with `socket` as its standard input; closes `socket` here in any case.
    func start(executable: String, arguments: [String], socket: Int32, generation: Int) {
        submit(.start(executable: executable, arguments: arguments, socket: socket, generation: generation))
    }

    /// Lets the thread end when its work is done. Launchers already running are not affected.
    func end() { submit(.end) }

    private func submit(_ job: Job) {
        jobs.withLock { $0.append(job) }
        pending.signal()
    }

    private func serve() {
        var launchers: [Process] = []
        while true {
            pending.wait()
            guard let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { continue }
            switch job {
            case .end: return
            case .start(let executable, let arguments, let socket, let generation):
                launchers.removeAll { !$0.isRunning }
                let process = Process()
                process.executableURL = URL(fileURLWithPath: executable)
                process.arguments = arguments
                process.environment = [:]
                process.standardInput = FileHandle(fileDescriptor: socket, closeOnDealloc: false)
                process.standardOutput = FileHandle.nullDevice
                let outcome: Outcome
                do {
                    try process.run()
                    launchers.append(process)
                    outcome = .started(pid: process.processIdentifier, generation: generation)
                } catch {
                    outcome = .failed(message: Self.explain(error, executable), generation: generation)
                }
                close(socket)
                report(outcome)
            }
        }
    }

    private static func explain(_ error: any Error, _ executable: String) -> String {
        let known = FileManager.default.isExecutableFile(atPath: executable)
        let reason = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
        // Those that are to be closed in the new process are beyond the limit, or there is none left for the way there.
        if known, reason.domain == NSPOSIXErrorDomain, [EBADF, EMFILE].contains(Int32(reason.code)) {
            return "\(executable) could not be started: \(DescriptorReserve.shortage)"
        }
        return known
            ? "\(executable) could not be started: \(error.localizedDescription)"
            : "\(executable) is missing or not executable; build it with `make build`"
    }
}
