import CLinux
import Glibc
import SwiftProtobuf
import Synchronization
import Testing
import Wire

@testable import Authority

@Suite struct KeyringTests {
    private static let now = Instant.zero + .seconds(100)

    private static func withKeyring(_ body: (KeyringFile, Keyring, Keyring) throws -> Void) throws {
        try Scratch.with { path in
            let file = try KeyringFile(path: path, at: now)
            try body(file, Keyring(mapping: file.readOnlyDescriptor), Keyring(mapping: file.readOnlyDescriptor))
        }
    }

    @Test func whatRiskSignsTheVenueAccepts() throws {
        try Self.withKeyring { _, risk, venue in
            let approval = try #require(risk.sign(Sample.decision(), at: Self.now))
            #expect(approval.expiresAt == Self.now + .seconds(5))
            let order = Sample.order(approval)
            #expect(venue.check(order, at: Self.now) == .valid)
            #expect(venue.check(order, at: approval.expiresAt - Nanoseconds(1)) == .valid)
            #expect(venue.check(order, at: approval.expiresAt) == .expired)
        }
    }

    @Test func noApprovalIsGoodForLongerThanTheLimit() throws {
        try Self.withKeyring { _, risk, _ in
            for seconds in [301, 86_400, Int64.max / 1_000_000_000] {
                let approval = try #require(risk.sign(Sample.decision(validSeconds: seconds), at: Self.now))
                #expect(approval.expiresAt == Self.now + Limits.maxApprovalValidity)
            }
            var decision = Sample.decision()
            decision.validForNs = -1
            #expect(risk.sign(decision, at: Self.now)?.expiresAt == Self.now, "expired from the beginning")
        }
    }

    /// Each field that an approval is about, changed by itself, and each byte of the approval.
    @Test func everyAlterationIsNoticed() throws {
        try Self.withKeyring { _, risk, venue in
            let order = Sample.order(try #require(risk.sign(Sample.decision(), at: Self.now)))
            let changes: [(String, (inout RiskDecision) -> Void)] = [
                ("proposal", { $0.proposalID += "0" }), ("proposal emptied", { $0.proposalID = "" }),
                ("strategy", { $0.strategy = "Other" }), ("symbol", { $0.symbol = "ETHUSDT" }),
                ("side", { $0.side = .sell }), ("unknown side", { $0.side = .UNRECOGNIZED(257) }),
                ("quantity", { $0.quantityE8 += 1 }), ("less quantity", { $0.quantityE8 -= 1 }),
                ("price", { $0.limitPriceE8 += 1 }),
                // The same bytes in a row, split differently.
                (
                    "names shifted",
                    {
                        $0.strategy = String($0.strategy.dropFirst())
                        $0.symbol += "N"
                    }
                ),
            ]
            for (name, change) in changes {
                var altered = order
                change(&altered.decision)
                #expect(venue.check(altered, at: Self.now) == .forged, "\(name)")
            }
            let bytes = order.decision.approvalBytes
            for index in bytes.indices {
                var altered = order
                var changed = bytes
                changed[index] ^= 0x40
                altered.decision.approvalBytes = changed
                let verdict = venue.check(altered, at: Self.now)
                let expected: ApprovalVerdict = index < 4 ? .malformed : index < 12 ? .unknownKey : .forged
                #expect(verdict == expected, "byte \(index)")
            }
            for count in bytes.indices {
                var cut = order
                cut.decision.approvalBytes = Array(bytes.prefix(count))
                #expect(venue.check(cut, at: Self.now) == (count == 0 ? .missing : .malformed), "\(count) bytes")
            }
            var longer = order
            longer.decision.approvalBytes.append(0)
            #expect(venue.check(longer, at: Self.now) == .malformed)
            #expect(venue.check(order, at: Self.now) == .valid, "the control")
        }
    }

    @Test func ordersWithoutADecisionOrWithEndlessNamesAreRefused() throws {
        try Self.withKeyring { _, risk, venue in
            #expect(venue.check(Order(), at: Self.now) == .missing)
            #expect(venue.check(Order.with { $0.decision = Sample.decision() }, at: Self.now) == .missing)
            var decision = Sample.decision()
            decision.symbol = String(repeating: "é", count: 129)
            #expect(risk.sign(decision, at: Self.now) == nil)
            var order = Sample.order(try #require(risk.sign(Sample.decision(), at: Self.now)))
            order.decision.strategy = String(repeating: "x", count: 257)
            #expect(venue.check(order, at: Self.now) == .malformed)
        }
    }

    @Test func bothSidesSeeANewKeyAtOnceAndTheOldOneVerifiesForItsGrace() throws {
        try Self.withKeyring { file, risk, venue in
            let decision = Sample.decision(validSeconds: 1_000)
            let old = Sample.order(try #require(risk.sign(decision, at: Self.now)), under: decision)
            #expect(venue.check(old, at: Self.now) == .valid)
            let rotatedAt = Self.now + .seconds(1)
            #expect(file.rotate(at: rotatedAt) == .rotated(keyID: 2))
            let approval = try #require(risk.sign(decision, at: rotatedAt))
            #expect(approval.keyID == 2)
            #expect(venue.check(Sample.order(approval, under: decision), at: rotatedAt) == .valid)
            #expect(venue.check(old, at: rotatedAt + .seconds(200)) == .valid, "an order in flight is not lost")
            #expect(venue.check(old, at: Self.now + KeyRotation.grace) == .expired)
            #expect(venue.check(old, at: rotatedAt + KeyRotation.grace) == .expiredKey)
            file.rotate(at: rotatedAt + KeyRotation.grace)
            #expect(venue.check(old, at: rotatedAt + KeyRotation.grace) == .unknownKey, "and then it is erased")
        }
    }

    @Test func anotherFleetsKeysAreWorthNothing() throws {
        try Self.withKeyring { _, risk, _ in
            try Self.withKeyring { _, _, otherVenue in
                let order = Sample.order(try #require(risk.sign(Sample.decision(), at: Self.now)))
                #expect(otherVenue.check(order, at: Self.now) == .forged)
            }
        }
    }

    @Test func aDescriptorOfSomethingElseIsRefused() throws {
        let low = open("/dev/null", O_RDONLY)
        // A number that no other test is given as soon as it is closed.
        let null = fcntl(low, F_DUPFD_CLOEXEC, 700)
        close(low)
        try #require(null >= 700)
        #expect(throws: AuthorityError.self) { try Keyring(descriptor: null) }
        #expect(fcntl(null, F_GETFD) == -1, "it is closed all the same")
        try Scratch.with { path in
            try Scratch.write([UInt8](repeating: 0, count: 4_096), to: path)
            let zeros = open(path, O_RDONLY)
            #expect(throws: AuthorityError.self) { try Keyring(descriptor: zeros) }
        }
    }

    /// A writer that rotates as fast as it can, and readers that sign and check all the while: nothing is ever refused,
    /// because every key that signs is whole and verifies.
    @Test func rotationUnderLoadRefusesNothing() throws {
        try Scratch.with { path in
            let file = try KeyringFile(path: path, at: Self.now)
            let done = Atomic(false)
            let writer = Worker {
                // Each rotation a grace after the last but one, so that slots are erased and filled again all the time.
                var now = Self.now
                for _ in 0..<20_000 {
                    now = now + Nanoseconds(KeyRotation.grace.count / 32)
                    file.rotate(at: now)
                }
                done.store(true, ordering: .releasing)
            }
            let risk = try Keyring(mapping: file.readOnlyDescriptor)
            let venue = try Keyring(mapping: file.readOnlyDescriptor)
            var signed = 0
            while !done.load(ordering: .acquiring) {
                // `now` before every retirement: only a torn read could refuse.
                guard let approval = risk.sign(Sample.decision(), at: Self.now) else { continue }
                let verdict = venue.check(Sample.order(approval), at: Self.now)
                // Between the two calls a whole grace of the writer's time may have gone by.
                #expect(verdict == .valid || verdict == .unknownKey, "after \(signed)")
                if verdict == .valid { signed += 1 }
            }
            writer.join()
            #expect(signed > 0)
            let approval = try #require(risk.sign(Sample.decision(), at: Self.now))
            #expect(venue.check(Sample.order(approval), at: Self.now) == .valid)
        }
    }
}

/// A thread with a body.
final class Worker {
    private var thread = pthread_t()

    init(_ body: @escaping () -> Void) {
        let box = Unmanaged.passRetained(Box(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, box)
    }

    func join() { pthread_join(thread, nil) }

    private final class Box {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}
