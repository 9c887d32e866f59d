import AgentKit
import FoundationEssentials
import Glibc
import Wire

/// Softmax regression over hashed text features with 8-bit weights; made by train.py, which states method and data.
///
/// On the 1,880 held-out texts (every fifth by token hash) of the Twitter financial news set: accuracy 0.819 (always
/// "neutral": 0.665), macro F1 0.737 (0.266); F1 bearish 0.610, bullish 0.715, neutral 0.886.
///
/// File, little-endian: "QPSX", u16 version 1, u8 bucket bits, u8 classes 3, f32 scale of the weights, 3 × f32 bias,
/// f32 temperature, then for each bucket 3 × i8 (bearish, bullish, neutral), then u64 FNV-1a of all before.
struct SentimentModel {
    static let maxFileBytes = 8 << 20
    private static let headBytes = 28
    private static let checksumBytes = 8

    /// Probabilities of the three readings; they sum to 1.
    struct Reading: Equatable {
        var bearish: Double
        var bullish: Double
        var neutral: Double

        /// −1 certainly bearish to 1 certainly bullish.
        var tilt: Double { bullish - bearish }
        /// Probability of the likeliest reading.
        var confidence: Double { max(bearish, bullish, neutral) }
        var isNeutral: Bool { neutral >= bearish && neutral >= bullish }
    }

    let bucketBits: Int
    private let scale: Double
    private let bias: [Double]
    private let temperature: Double
    private let weights: [Int8]

    /// Reads a model file. Throws `AgentFailure` with what is wrong and what to do.
    init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path), data.count <= Self.maxFileBytes else {
            throw Self.failure(path, "cannot be read, or is over \(Self.maxFileBytes) bytes")
        }
        do {
            try self.init([UInt8](data))
        } catch {
            throw Self.failure(path, error.problem)
        }
    }

    struct Corrupt: Error {
        let problem: String
    }

    init(_ bytes: [UInt8]) throws(Corrupt) {
        let fixed = Self.headBytes + Self.checksumBytes
        guard bytes.count >= fixed, bytes.starts(with: "QPSX".utf8) else { throw Corrupt(problem: "is no model file") }
        guard bytes[4] == 1, bytes[5] == 0, bytes[7] == 3 else {
            throw Corrupt(problem: "has a version or class count that this build does not know")
        }
        guard (1...24).contains(bytes[6]), bytes.count == fixed + 3 << Int(bytes[6]) else {
            throw Corrupt(problem: "is cut short or padded")
        }
        let body = bytes.count - Self.checksumBytes
        let checksum = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[body + $1]) << (8 * UInt64($1)) }
        guard fnv1a64(bytes[..<body]) == checksum else { throw Corrupt(problem: "has a wrong checksum") }
        func real(_ offset: Int) -> Double {
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) }
            return Double(Float(bitPattern: bits))
        }
        bucketBits = Int(bytes[6])
        scale = real(8)
        bias = [real(12), real(16), real(20)]
        temperature = real(24)
        guard scale.isFinite, scale >= 0, bias.allSatisfy(\.isFinite), temperature.isFinite, temperature > 0 else {
            throw Corrupt(problem: "holds numbers that are not finite")
        }
        weights = bytes[Self.headBytes..<body].map(Int8.init(bitPattern:))
    }

    /// `buckets` as `TextFeatures` of the same `bucketBits` gives them: distinct and in range.
    func read(_ buckets: [UInt32]) -> Reading {
        var sums: (Int, Int, Int) = (0, 0, 0)
        for bucket in buckets {
            let index = Int(bucket) * 3
            sums.0 += Int(weights[index])
            sums.1 += Int(weights[index + 1])
            sums.2 += Int(weights[index + 2])
        }
        let unit = buckets.isEmpty ? 0 : scale / Double(buckets.count).squareRoot()
        let bearish = (Double(sums.0) * unit + bias[0]) / temperature
        let bullish = (Double(sums.1) * unit + bias[1]) / temperature
        let neutral = (Double(sums.2) * unit + bias[2]) / temperature
        let top = max(bearish, bullish, neutral)
        let raised = (exp(bearish - top), exp(bullish - top), exp(neutral - top))
        let total = raised.0 + raised.1 + raised.2
        return Reading(bearish: raised.0 / total, bullish: raised.1 / total, neutral: raised.2 / total)
    }

    private static func failure(_ path: String, _ problem: String) -> AgentFailure {
        AgentFailure(
            "the model \(path) \(problem). Restore it from the repository, or make it anew: python3 "
                + "agents/SentimentX/train.py <twitter_financial_news_sent_train.csv>")
    }
}
