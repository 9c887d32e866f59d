import Authority
import Foundation
import Wire

/// What it costs a risk agent to sign an approving decision, and a venue agent to check the one inside an order.
struct ApprovalBench {
    static let rounds = 200
    static let operationsPerRound = 1_000

    func measure() throws -> String {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError(description: "no temporary directory under /tmp") }
        let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let now = Instant(nanoseconds: monotonicNs())
        let file = try KeyringFile(path: "\(folder)/\(KeyringFile.fileName)", at: now)
        let keyring = try Keyring(descriptor: dup(file.readOnlyDescriptor))

        var decision = RiskDecision()
        decision.proposalID = "NeuralArb-3-17"
        decision.kind = .approve
        decision.strategy = "NeuralArb"
        decision.symbol = "BTCUSDT"
        decision.side = .buy
        decision.quantityE8 = 150_000_000
        decision.limitPriceE8 = 6_180_025_000_000
        decision.validForNs = 5_000_000_000
        guard let approval = keyring.sign(decision, at: now) else {
            throw BenchError(description: "a fresh keyring does not sign")
        }
        var order = Order()
        order.orderID = "NeuralArb-3-17/1"
        order.proposalID = decision.proposalID
        order.decision = decision
        order.decision.approvalBytes = approval.bytes
        guard keyring.check(order, at: now) == .valid else {
            throw BenchError(description: "what was signed does not verify")
        }
        let sign = time { keyring.sign(decision, at: now) != nil }
        let check = time { keyring.check(order, at: now) == .valid }
        return row("sign", sign) + "\n" + row("verify", check)
    }

    private func row(_ title: String, _ times: [Double]) -> String {
        "  \(pad(title, 12)) median \(String(format: "%.2f µs, slowest of %d rounds %.2f µs", median(times), Self.rounds, times.max()!))"
    }

    /// Microseconds an operation, of each round.
    private func time(_ operation: () -> Bool) -> [Double] {
        (0..<Self.rounds).map { _ in
            let start = monotonicNs()
            var succeeded = 0
            for _ in 0..<Self.operationsPerRound where operation() { succeeded += 1 }
            precondition(succeeded == Self.operationsPerRound, "an operation failed")
            return Double(monotonicNs() - start) / 1_000 / Double(Self.operationsPerRound)
        }
    }
}
