import Glibc
import SwiftProtobuf
import Testing
import Wire

/// A path in a folder of its own, removed afterwards.
enum Scratch {
    static func with(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        let path = folder + "/keyring"
        defer {
            for name in [path, path + ".new", path + ".real"] { unlink(name) }
            rmdir(folder)
        }
        try body(path)
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
    }

    static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 8_192)
        let count = Glibc.read(file, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }
}

enum Sample {
    static func decision(validSeconds: Int64 = 5) -> RiskDecision {
        RiskDecision.with {
            $0.proposalID = "NeuralArb/3/17"
            $0.kind = .approve
            $0.strategy = "NeuralArb"
            $0.symbol = "BTCUSDT"
            $0.side = .buy
            $0.quantityE8 = 150_000_000
            $0.limitPriceE8 = 6_180_025_000_000
            $0.validForNs = validSeconds * 1_000_000_000
        }
    }

    static func order(_ approval: Approval, under decision: RiskDecision = decision()) -> Order {
        Order.with {
            $0.orderID = "\(decision.proposalID)/1"
            $0.proposalID = decision.proposalID
            $0.decision = decision
            $0.decision.approvalBytes = approval.bytes
        }
    }
}
