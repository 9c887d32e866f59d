import Delivery
import Wire

/// Messages that were decided and never reach a consumer, because it is not wired any more: told when the agent starts, once,
/// as the first snapshot forgets them.
enum ForgottenMessages {
    /// One line for each such consumer: how many there are, their numbers and what the first of them say.
    /// `outputs`: those of now. Throws `FrameError` for kept frames that are none.
    static func lines(_ recovered: [OutputPosition], _ outputs: [OutputWire], agent: String) throws -> [String] {
        try recovered.flatMap { position -> [String] in
            let lost: [DurableSender.Forgotten]
            if let output = outputs.first(where: { $0.name == position.port })?.durable {
                lost = output.sender.forgotten
            } else {
                lost = position.sender?.unacked ?? []
            }
            guard !lost.isEmpty else { return [] }
            let frames = try position.frames.frames()
            return lost.map { consumer in
                let numbers = consumer.messages
                let port = consumer.port ?? "the input \(String(consumer.id.value, radix: 16))"
                let named = numbers.prefix(DurableLimits.namedLosses).map { name($0, frames, position.firstFrame) }
                let more = numbers.count > named.count ? ", …" : ""
                return
                    "\(agent).\(position.port) → \(port): \(numbers.count) messages (\(numbers.lowerBound) to "
                    + "\(numbers.upperBound)) were decided and not acknowledged, and never arrive: this consumer is not wired "
                    + "any more: \(named.joined(separator: ", "))\(more)"
            }
        }
    }

    private static func name(_ number: UInt64, _ frames: [Frame], _ first: UInt64) -> String {
        guard number >= first, number - first < UInt64(frames.count) else { return "\(number)" }
        let bytes = frames[Int(number - first)].bytes
        let payload = try? bytes.withUnsafeBytes { frame in
            let header = try Header(frame: frame)
            return try Payload(
                type: header.payloadType, encoding: header.encoding,
                bytes: UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...]))
        }
        return "\(number) \(payload?.json ?? "that does not decode")"
    }
}
