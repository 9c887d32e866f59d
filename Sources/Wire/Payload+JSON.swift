import SwiftProtobuf

extension Payload {
    /// For people: the canonical JSON of the message, on one line.
    public var json: String {
        (try? message.jsonString()) ?? "\(message)"
    }
}
