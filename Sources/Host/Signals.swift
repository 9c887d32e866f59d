import CLinux
import Foundation

/// Signals as events of the loop (signalfd) instead of interruptions.
public final class Signals {
    private let descriptor: Descriptor
    private let source: EventLoop.Source
    private let loop: EventLoop

    /// Blocks `signals` for the calling thread and all it creates later. Call it first thing in `main`: a signal that
    /// arrives while another thread has it unblocked takes its default action.
    public static func block(_ signals: [Int32]) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// What the supervisor serves waits from now on until it can be served.
    public static func blockSupervisors() {
        ignoreFailedWrites()
        ignoreStrays()
        block(Supervisor.signals)
    }

    /// A write to a closed socket or pipe is EPIPE, one beyond a file size limit EFBIG, never the end of the process.
    public static func ignoreFailedWrites() {
        _ = signal(SIGPIPE, SIG_IGN)
        _ = signal(SIGXFSZ, SIG_IGN)
        // From the background of a terminal with `stty tostop`, a line would stop us.
        _ = signal(SIGTTOU, SIG_IGN)
    }

    /// Nobody here waits for these, and each would end the process by itself: a signal that was meant for another program must
    /// not take the supervisor away. The launcher and `ProgramRun` reset them, so no agent inherits it.
    static func ignoreStrays() {
        let named = [SIGUSR1, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSTKFLT]
        for number in named + Array(firstRealTime...lastRealTime) { _ = signal(number, SIG_IGN) }
    }

    /// SIGRTMIN and SIGRTMAX, without the two that are glibc's own.
    private static let (firstRealTime, lastRealTime): (Int32, Int32) = (34, 64)

    public init(_ signals: [Int32], loop: EventLoop, handler: @escaping (Int32) -> Void) throws {
        self.loop = loop
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        let fd = try check(signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK)), "signalfd")
        descriptor = Descriptor(fd)
        source = try loop.add(fd, .readable) { _ in
            var info = signalfd_siginfo()
            while read(fd, &info, MemoryLayout<signalfd_siginfo>.size) == MemoryLayout<signalfd_siginfo>.size {
                handler(Int32(info.ssi_signo))
            }
        }
    }

    deinit { loop.remove(source) }
}
