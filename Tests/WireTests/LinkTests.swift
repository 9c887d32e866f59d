import Testing

@testable import Wire

@Suite struct LinkPacketTests {
    @Test(
        "packets survive their bytes",
        arguments: [
            LinkPacket.hello(incarnation: 9, applied: LinkPosition(epoch: 1 << 40, sequence: 17)), .welcome,
            .applied(LinkPosition(epoch: 3, sequence: .max)), .upgrading,
        ])
    func roundTrip(_ packet: LinkPacket) {
        let bytes = packet.bytes
        #expect(bytes.count == LinkPacket.byteCount)
        #expect(bytes.withUnsafeBytes { LinkPacket($0) } == packet)
    }

    @Test("what is cut, of another version or of no known kind is none")
    func refused() {
        let good = LinkPacket.welcome.bytes
        for index in 0..<8 {
            var bad = good
            bad[index] ^= 0x55
            #expect(bad.withUnsafeBytes { LinkPacket($0) } == nil, "byte \(index)")
        }
        for count in 0..<good.count { #expect(good[..<count].withUnsafeBytes { LinkPacket($0) } == nil) }
        #expect([UInt8](repeating: 0, count: 64).withUnsafeBytes { LinkPacket($0) } == nil)
    }
}
