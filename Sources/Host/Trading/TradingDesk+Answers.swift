import Foundation
import Wire

/// What an operator is told.
extension TradingDesk {
    func confirm(_ request: Request, _ now: Instant) {
        let confirmed = request.wait.confirmedBy
        let gates = request.commands.map(\.agent)
        for command in request.commands { note(.confirmed(command, by: confirmed, at: Self.unixNs())) }
        let states = Dictionary(
            gates.map { ($0, book[$0].news?.state ?? request.order.state.word ?? "HALTED") },
            uniquingKeysWith: { first, _ in first })
        let ms = ((now - request.begunAt).seconds * 10_000).rounded() / 10
        var message = gates.map { "\($0) is \(states[$0] ?? "")" }.joined(separator: ", ")
        message +=
            confirmed.isEmpty
            ? "; nobody listens to its state" : "; confirmed by \(confirmed.joined(separator: ", ")) after \(ms) ms"
        if let warning = request.warning { message += ". \(warning)" }
        surroundings.tell(message)
        request.answer(
            .success(
                TradingReport(
                    message: message, states: states, confirmedBy: confirmed, isRecorded: request.warning == nil)))
    }

    func overrule(_ request: Request, _ agent: String, _ news: TradingNews) {
        let wanted = request.order.state.word ?? ""
        let reason = news.reason.isEmpty ? "" : ": \(news.reason)"
        request.answer(
            .failure(
                ControlError(
                    .refused,
                    "\(agent) has taken \(wanted), and its trading state is \(news.state) by \(news.by)\(reason). Look at "
                        + "`agentctl logs \(agent)`, then command it again")))
    }

    /// The wait is over. The command stays in force and is applied when that becomes possible.
    func giveUp(_ request: Request, _ why: String) {
        let wanted = request.order.state.word ?? ""
        let late = request.wait.notApplied
        let unconfirmed = request.wait.unconfirmed(surroundings.consumers)
        var parts: [String] = []
        if !late.isEmpty {
            parts.append("not applied by \(late.map(surroundings.describe).joined(separator: ", "))")
        } else {
            let gates = request.commands.map(\.agent).joined(separator: ", ")
            parts.append("\(gates) has applied it")
            let missing = unconfirmed.map(surroundings.describe).joined(separator: ", ")
            parts.append(missing.isEmpty ? "it has not said which state holds" : "not confirmed by \(missing)")
        }
        var message = "\(wanted) \(why): \(parts.joined(separator: "; ")). "
        message +=
            request.order.mayLoosen
            ? "It takes effect as soon as they are back; `agentctl halt` takes it back"
            : "It stays in force, and they apply it before anything else can trade again; until then look at them with "
                + "`agentctl status`, or stop them"
        if let warning = request.warning { message += ". \(warning)" }
        let names = { (names: [String]) in JSONValue.array(names.map { .string($0) }) }
        request.answer(
            .failure(
                ControlError(
                    .unconfirmed, message,
                    data: .object([
                        .init(key: "notApplied", value: names(late)),
                        .init(key: "unconfirmed", value: names(unconfirmed)),
                        .init(key: "confirmedBy", value: names(request.wait.confirmedBy)),
                    ]))))
    }

    // MARK: - Status

    func status() -> [TradingStatus] {
        surroundings.gates().map { gate in
            let line = book[gate]
            let behind = (surroundings.consumers(gate) ?? []).filter { $0.isDurable && $0.acked < $0.sent }
            return TradingStatus(
                agent: gate, state: line.news?.state,
                since: (line.news?.sinceUnixNs).map { Timestamp(microseconds: $0 / 1_000).text }, by: line.news?.by,
                reason: line.news?.reason, isCurrent: line.isNewsCurrent, waiting: line.waiting.count,
                unconfirmed: behind.map(\.agent).sorted())
        }
    }
}
