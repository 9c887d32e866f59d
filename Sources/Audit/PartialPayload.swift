import Wire

/// Decodes payloads of which a flight recorder kept only the beginning.
enum PartialPayload {
    static func decode(_ header: Header, _ payload: [UInt8], isCut: Bool) -> Payload? {
        guard !isCut || header.encoding == .protobuf else { return nil }
        let bytes = isCut ? known(payload, of: header.payloadType) : payload[...]
        return bytes.withUnsafeBytes { try? Payload(type: header.payloadType, encoding: header.encoding, bytes: $0) }
    }

    /// Fields that are messages, come first, and say what the whole is about.
    private static let parts: [PayloadType: UInt64] = [.sizedProposal: 1]

    /// The fields that are whole, and of a part that is cut those of its own that are.
    private static func known(_ bytes: [UInt8], of type: PayloadType) -> ArraySlice<UInt8> {
        let whole = wholeFields(bytes)
        var at = whole
        guard let key = varint(bytes, &at), key & 7 == 2, key >> 3 == parts[type] else { return bytes[..<whole] }
        let keyEnd = at
        guard varint(bytes, &at) != nil else { return bytes[..<whole] }
        let part = Array(bytes[at...])
        let length = wholeFields(part)
        // A recorder keeps less than a varint of one byte can say.
        guard length > 0, length < 0x80 else { return bytes[..<whole] }
        return bytes[..<keyEnd] + [UInt8(length)] + part[..<length]
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
