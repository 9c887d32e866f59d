import Journal
import ZeroMQ

extension AgentFailure {
    /// The same in an agent's own terms; an `AgentFailure` stays what it is.
    init(of error: any Error) {
        self = (error as? AgentFailure) ?? AgentFailure("\(error)", isTransient: Self.isTransient(error))
    }

    private static func isTransient(_ error: any Error) -> Bool {
        switch error {
        case let error as JournalError:
            switch error {
            // A full one waits for a reader or a consumer; a fenced one has been replaced.
            case .system, .full, .fenced: true
            default: false
            }
        // Names and options of sockets are the supervisor's; what is left are descriptors, memory and addresses in use.
        case is ZeroMQError: true
        // What an agent's own `init` throws is about its settings, ports and files.
        default: false
        }
    }
}
