import AgentKit
import Market
import Wire

/// The connection between session and exchange. By default it is not there: what goes in comes out at once. With faults
/// set, it delays, repeats and loses by a seed, and is cut now and then; with the state, the same faults happen again.
///
/// Like TCP it keeps the order of each direction, and a cut loses what is on its way.
struct FaultyLink: Sendable {
    /// Messages on their way in each direction; one more is lost.
    static let maximumInFlight = 3_072

    /// How bad it is; not part of the state.
    struct Faults: Equatable, Sendable {
        var seed: UInt64 = 1
        /// Every request takes this long.
        var latency = Nanoseconds.zero
        /// Requests and answers take up to this long besides.
        var maximumDelay = Nanoseconds.zero
        /// Shares of 0 to 1.
        var requestsLost = 0.0
        var answersLost = 0.0
        var answersTwice = 0.0
        /// Share of the requests at which the connection is cut, and for how long.
        var cuts = 0.0
        var cutFor = Nanoseconds.milliseconds(100)
    }

    struct Requested: Sendable {
        var at: Instant
        var request: VenueRequest
    }

    struct Answered: Sendable {
        var at: Instant
        var answer: VenueAnswer
    }

    private(set) var isUp = true
    private(set) var upAt: Instant?
    private(set) var requests: [Requested] = []
    private(set) var answers: [Answered] = []
    private var lastRequest = Instant.zero
    private var lastAnswer = Instant.zero
    private var draws: UInt64 = 0

    /// When something happens next by itself.
    var nextDue: Instant? { [upAt, requests.first?.at, answers.first?.at].compactMap { $0 }.min() }

    /// False when that cut the connection, which takes the request along.
    mutating func send(_ request: VenueRequest, _ faults: Faults, at now: Instant) -> Bool {
        guard isUp else { return true }
        if happens(faults.cuts, faults) {
            cut(until: now + faults.cutFor)
            return false
        }
        guard !happens(faults.requestsLost, faults), requests.count < Self.maximumInFlight else { return true }
        lastRequest = max(lastRequest, now + faults.latency + delay(faults))
        requests.append(Requested(at: lastRequest, request: request))
        return true
    }

    mutating func answer(_ answer: VenueAnswer, _ faults: Faults, at now: Instant) {
        guard isUp else { return }
        for _ in 0..<(happens(faults.answersTwice, faults) ? 2 : 1) {
            guard !happens(faults.answersLost, faults), answers.count < Self.maximumInFlight else { continue }
            lastAnswer = max(lastAnswer, now + delay(faults))
            answers.append(Answered(at: lastAnswer, answer: answer))
        }
    }

    mutating func nextRequest(at now: Instant) -> VenueRequest? {
        guard let first = requests.first, first.at <= now else { return nil }
        return requests.removeFirst().request
    }

    mutating func nextAnswer(at now: Instant) -> VenueAnswer? {
        guard let first = answers.first, first.at <= now else { return nil }
        return answers.removeFirst().answer
    }

    mutating func cut(until instant: Instant) {
        isUp = false
        upAt = instant
        requests = []
        answers = []
    }

    /// True when the connection is there again by `now`.
    mutating func reconnect(at now: Instant) -> Bool {
        guard let upAt, upAt <= now else { return false }
        self.upAt = nil
        isUp = true
        return true
    }

    // MARK: Chance

    private mutating func delay(_ faults: Faults) -> Nanoseconds {
        guard faults.maximumDelay > .zero else { return .zero }
        return Nanoseconds(Int64(draw(faults) % UInt64(faults.maximumDelay.count + 1)))
    }

    private mutating func happens(_ share: Double, _ faults: Faults) -> Bool {
        guard share > 0 else { return false }
        return Double(draw(faults) >> 11) / Double(1 << 53) < share
    }

    /// SplitMix64 of the seed and the number of draws so far.
    private mutating func draw(_ faults: Faults) -> UInt64 {
        draws &+= 1
        var z = faults.seed &+ draws &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension FaultyLink.Faults {
    /// The test switch: settings `fault…`, all 0 by default.
    init(_ settings: Settings) throws {
        func milliseconds(_ key: String, _ value: Double, in range: ClosedRange<Double>) throws -> Nanoseconds {
            .fractionalSeconds(try settings.number(key, default: value, in: range) / 1_000)
        }
        latency = try milliseconds("latencyMs", 0, in: 0...60_000)
        seed = UInt64(try settings.integer("faultSeed", default: 1, in: 0...Int(Int32.max)))
        maximumDelay = try milliseconds("faultDelayMs", 0, in: 0...60_000)
        requestsLost = try settings.number("faultRequestsLost", default: 0, in: 0...1)
        answersLost = try settings.number("faultAnswersLost", default: 0, in: 0...1)
        answersTwice = try settings.number("faultAnswersTwice", default: 0, in: 0...1)
        cuts = try settings.number("faultCuts", default: 0, in: 0...1)
        cutFor = try milliseconds("faultCutMs", 100, in: 1...600_000)
    }
}

extension FaultyLink: Packable {
    func pack(into packer: inout Packer) {
        packer.append(isUp)
        packer.append(upAt != nil)
        packer.append(upAt ?? .zero)
        packer.append(requests) { item, packer in
            packer.append(item.at)
            switch item.request {
            case .place(let order, let deadline):
                packer.append(0)
                packer.append(order)
                packer.append(deadline)
            case .cancel(let orderID):
                packer.append(1)
                packer.append(orderID)
            case .query(let orderID, let number):
                packer.append(2)
                packer.append(orderID)
                packer.append(number)
            }
        }
        packer.append(answers) { item, packer in
            packer.append(item.at)
            switch item.answer {
            case .report(let report):
                packer.append(0)
                packer.append(report)
            case .found(let orderID, let number, let reports):
                packer.append(1)
                packer.append(orderID)
                packer.append(number)
                packer.append(reports)
            case .absent(let orderID, let number):
                packer.append(2)
                packer.append(orderID)
                packer.append(number)
            }
        }
        packer.append(lastRequest)
        packer.append(lastAnswer)
        packer.append(draws)
    }

    init(unpacking unpacker: inout Unpacker) throws {
        isUp = try unpacker.bool()
        let isWaiting = try unpacker.bool()
        let instant = try unpacker.instant()
        upAt = isWaiting ? instant : nil
        requests = try unpacker.list { unpacker in
            let at = try unpacker.instant()
            switch try unpacker.int() {
            case 0: return Requested(at: at, request: .place(try unpacker.value(), deadline: try unpacker.instant()))
            case 1: return Requested(at: at, request: .cancel(orderID: try unpacker.text()))
            case 2:
                return Requested(
                    at: at, request: .query(orderID: try unpacker.text(), number: try unpacker.uint64()))
            case let kind: throw UnpackError("no request has number \(kind)")
            }
        }
        answers = try unpacker.list { unpacker in
            let at = try unpacker.instant()
            switch try unpacker.int() {
            case 0: return Answered(at: at, answer: .report(try unpacker.value()))
            case 1:
                let (id, number) = (try unpacker.text(), try unpacker.uint64())
                return Answered(at: at, answer: .found(orderID: id, number: number, try unpacker.list()))
            case 2:
                return Answered(at: at, answer: .absent(orderID: try unpacker.text(), number: try unpacker.uint64()))
            case let kind: throw UnpackError("no answer has number \(kind)")
            }
        }
        lastRequest = try unpacker.instant()
        lastAnswer = try unpacker.instant()
        draws = try unpacker.uint64()
    }
}
