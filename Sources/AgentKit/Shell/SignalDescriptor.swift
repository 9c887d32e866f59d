import CLinux
import Glibc

/// How a shell is told to stop: a descriptor that becomes readable.
protocol StopRequests: AnyObject {
    var descriptor: Int32 { get }
    /// Whether a request has come; reads it.
    func isStopRequested() -> Bool
}

/// SIGTERM and SIGINT as a descriptor to poll (signalfd(2)). Made before any thread is, so that all inherit the mask and
/// no thread can be interrupted by them. SIGPIPE is ignored.
final class SignalDescriptor: StopRequests {
    let descriptor: Int32

    init() throws {
        signal(SIGPIPE, SIG_IGN)
        var mask = sigset_t()
        sigemptyset(&mask)
        sigaddset(&mask, SIGTERM)
        sigaddset(&mask, SIGINT)
        guard pthread_sigmask(SIG_BLOCK, &mask, nil) == 0 else { throw AgentFailure("cannot block signals") }
        descriptor = signalfd(-1, &mask, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
        guard descriptor >= 0 else {
            throw AgentFailure(
                "cannot open a signal descriptor: \(String(cString: strerror(errno)))", isTransient: true)
        }
    }

    deinit {
        close(descriptor)
    }

    /// Reads what has come.
    func isStopRequested() -> Bool {
        var information = signalfd_siginfo()
        return read(descriptor, &information, MemoryLayout<signalfd_siginfo>.size) > 0
    }
}
