import Wire

/// Decodes payloads of which a flight recorder kept only the beginning.
enum PartialPayload {
    static func decode(_ header: Header, _ payload: [UInt8], isCut: Bool) -> Payload? {
        guard !isCut || header.encoding == .protobuf else { return nil }
        let bytes = isCut ? payload.prefix(wholeFields(payload)) : payload[...]
        return bytes.withUnsafeBytes { try? Payload(type: header.payloadType, encoding: header.encoding, bytes: $0) }
    }

    /// Bytes of the longest beginning that is whole protobuf fields (https://protobuf.dev/programming-guides/encoding/).
    static func wholeFields(_ bytes: [UInt8]) -> Int {
        var whole = 0
        var at = 0
        while let key = varint(bytes, &at) {
            switch key & 7 {
            case 0: guard varint(bytes, &at) != nil else { return whole }
            case 1: at += 8
            case 2:
                guard let length = varint(bytes, &at), length <= UInt64(bytes.count - at) else { return whole }
                at += Int(length)
            case 5: at += 4
            default: return whole
            }
            guard at <= bytes.count else { return whole }
            whole = at
        }
        return whole
    }

    private static func varint(_ bytes: [UInt8], _ at: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < bytes.count, shift < 64 {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
