import CLinux
import Foundation
import Synchronization

/// How another thread tells the event loop something: values in order, and one wake-up. Thread-safe.
final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let bell: Int32

    init() throws {
        bell = try check(eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)), "eventfd")
    }

    deinit { close(bell) }

    func post(_ message: Message) {
        messages.withLock { $0.append(message) }
        var one: UInt64 = 1
        _ = write(bell, &one, 8)
    }

    /// Delivers each message to `handler` on the loop's thread, until the source is removed.
    func attach(to loop: EventLoop, _ handler: @escaping (Message) -> Void) throws -> EventLoop.Source {
        let bell = bell
        return try loop.add(bell, .readable) { [weak self] _ in
            var count: UInt64 = 0
            _ = read(bell, &count, 8)
            let arrived = self?.messages.withLock { waiting -> [Message] in
                defer { waiting = [] }
                return waiting
            }
            for message in arrived ?? [] { handler(message) }
        }
    }
}
