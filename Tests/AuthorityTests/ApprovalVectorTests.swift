import FoundationEssentials
import SwiftProtobuf
import Testing

@testable import Authority
@testable import Wire

/// What Sources/Wire/README.md says to authors in other languages about approvals. Its vectors were made by another
/// implementation (Python's hmac).
@Suite struct ApprovalVectorTests {
    private static func vectors() throws -> [JSONValue] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = try String(contentsOfFile: "/\(root)/Sources/Wire/README.md", encoding: .utf8)
        let start = try #require(text.firstRange(of: "```json approvals\n")).upperBound
        let end = try #require(text[start...].firstRange(of: "\n```")).lowerBound
        let document = try JSONValue.parse(Array(text[start..<end].utf8), file: "README.md").get()
        return try #require(document.array)
    }

    @Test func approvalsMatchTheVectors() throws {
        let vectors = try Self.vectors()
        #expect(vectors.count == 2)
        for vector in vectors {
            func text(_ key: String) throws -> String { try #require(vector[key]?.string, "\(key)") }
            func number<Number: FixedWidthInteger>(_ key: String) throws -> Number {
                let text = try text(key)
                return try #require(Number(text), "\(key)")
            }
            let sideNumber = try #require(vector["side"]?.integer)
            let side = try #require(Side(rawValue: Int(sideNumber)))
            var decision = RiskDecision()
            decision.proposalID = try text("proposal")
            decision.symbol = try text("symbol")
            decision.strategy = try text("strategy")
            decision.side = side
            decision.quantityE8 = try number("quantityE8")
            decision.limitPriceE8 = try number("limitPriceE8")
            let digits = Array(try text("key"))
            let key = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
            let code = key.withUnsafeBytes { MessageCode(key: $0) }
            let expiresAt = Wire.Instant(nanoseconds: try number("expiresNs"))
            let signed = Approval.withSignedBytes(of: decision, keyID: try number("keyID"), expiresAt: expiresAt) {
                (hex($0), code.code(of: $0))
            }
            let (message, made) = try #require(signed)
            #expect(vector["signed"]?.string == message)
            let approval = Approval(keyID: try number("keyID"), expiresAt: expiresAt, code: made)
            #expect(vector["approval"]?.string == hex(approval.bytes))
            #expect(Approval(approval.bytes) == approval)
        }
    }

    @Test func theLimitsOnThePageAreThoseOfTheCode() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = try String(contentsOfFile: "/\(root)/Sources/Wire/README.md", encoding: .utf8)
        let seconds = Int(Limits.maxApprovalValidity.seconds)
        #expect(text.contains("at most \(seconds) s after the signature"))
        #expect(text.contains("verifies for \(seconds) s"))
        #expect(text.contains("at most \(Limits.maxApprovalNameBytes), and its UTF-8 bytes"))
        #expect(text.contains("a descriptor of \(KeyringPage.byteCount) bytes"))
        #expect(text.contains("\(KeyringPage.slotCount) slots of 64 bytes"))
        #expect(Approval.byteCount == 52 && text.contains("52 bytes"))
    }
}
