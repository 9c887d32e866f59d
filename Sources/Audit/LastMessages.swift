import Journal
import Wire

/// The last messages of an agent, from its flight recorder.
public enum LastMessages {
    /// The newest slots that are looked at: few enough for a supervisor that waits for it.
    static let slots = 4_096

    /// The last message of each wire of one incarnation, newest first; none if nothing can be read.
    ///
    /// - Parameter folder: `<run>/agents/<Name>`.
    public static func read(folder: String, incarnation: UInt64) -> [DeathCertificate.WireMessage] {
        guard let reader = (try? TraceRingReader(path: "\(folder)/\(TraceRing.fileName)", newest: slots)) ?? nil else {
            return []
        }
        var seen: Set<String> = []
        var messages: [DeathCertificate.WireMessage] = []
        for slot in reader.slots().reversed() where slot.incarnation == incarnation {
            guard messages.count < DeathCertificate.maxWires else { break }
            guard seen.insert("\(slot.edge) \(slot.isSent)").inserted else { continue }
            let record = MessageRecord(slot, agent: reader.agent, anchor: reader.anchor)
            messages.append(
                DeathCertificate.WireMessage(
                    wire: slot.edge, wasSent: slot.isSent, sequence: slot.header.sequence,
                    at: WallTime.text(unixNs: reader.anchor.unixNs(of: slot.header.sentAt)),
                    text: PayloadSummary.text(record.message, isCut: slot.isCut, of: slot.header.payloadType)))
        }
        return messages
    }
}
