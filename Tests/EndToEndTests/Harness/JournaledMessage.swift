import Wire

/// A message as it stands in a journal: header and payload.
struct JournaledMessage {
    let header: Header
    let payload: Payload

    init(_ frame: ArraySlice<UInt8>) throws {
        (header, payload) = try frame.withUnsafeBytes { frame in
            let header = try Header(frame: frame)
            let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
            return (header, try Payload(type: header.payloadType, encoding: header.encoding, bytes: body))
        }
    }
}
