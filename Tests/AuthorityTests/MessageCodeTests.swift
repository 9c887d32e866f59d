import Testing

@testable import Authority

/// HMAC-SHA256 against the test cases of RFC 4231 §4.
@Suite struct MessageCodeTests {
    struct Vector: CustomTestStringConvertible, Sendable {
        var number: Int
        var key: [UInt8]
        var data: [UInt8]
        /// Case 5 has the first 128 bits only.
        var code: String

        var testDescription: String { "RFC 4231 test case \(number)" }
    }

    static let vectors = [
        Vector(
            number: 1, key: .init(repeating: 0x0b, count: 20), data: Array("Hi There".utf8),
            code: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        Vector(
            number: 2, key: Array("Jefe".utf8), data: Array("what do ya want for nothing?".utf8),
            code: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        Vector(
            number: 3, key: .init(repeating: 0xaa, count: 20), data: .init(repeating: 0xdd, count: 50),
            code: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        Vector(
            number: 4, key: Array(1...25), data: .init(repeating: 0xcd, count: 50),
            code: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        Vector(
            number: 5, key: .init(repeating: 0x0c, count: 20), data: Array("Test With Truncation".utf8),
            code: "a3b6167473100ee06e0c796c2955552b"),
        Vector(
            number: 6, key: .init(repeating: 0xaa, count: 131),
            data: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            code: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        Vector(
            number: 7, key: .init(repeating: 0xaa, count: 131),
            data: Array(
                ("This is a test using a larger than block-size key and a larger than block-size data. The key needs "
                    + "to be hashed before being used by the HMAC algorithm.").utf8),
            code: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ]

    @Test(arguments: vectors) func codes(_ vector: Vector) {
        let code = vector.key.withUnsafeBytes { MessageCode(key: $0) }
        // Twice: the begun states must not change with use.
        for _ in 0..<2 {
            let made = vector.data.withUnsafeBytes { code.code(of: $0) }
            #expect(hex(made).hasPrefix(vector.code))
            #expect(vector.data.withUnsafeBytes { code.verifies(made, of: $0) })
        }
    }

    @Test func everyChangedBitIsNoticed() {
        let key = [UInt8](repeating: 7, count: 32)
        let data = Array("an order".utf8)
        let code = key.withUnsafeBytes { MessageCode(key: $0) }
        let made = data.withUnsafeBytes { code.code(of: $0) }
        for bit in 0..<(made.count * 8) {
            var changed = made
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(!data.withUnsafeBytes { code.verifies(changed, of: $0) })
        }
        #expect(!data.withUnsafeBytes { code.verifies(Array(made.dropLast()), of: $0) }, "a part of it is not enough")
        #expect(!data.withUnsafeBytes { code.verifies([], of: $0) })
    }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
