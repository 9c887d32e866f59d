import Foundation

/// The comparison as a Markdown table, and what of the bars was missed.
struct SupervisionTable {
    /// By peer, this supervisor first.
    private var columns: [(name: String, figures: [String: Figure])] = []
    /// In the order of their first appearance.
    private var titles: [String] = []

    mutating func add(_ figures: [Figure], of peer: String) {
        if !columns.contains(where: { $0.name == peer }) { columns.append((peer, [:])) }
        guard let column = columns.firstIndex(where: { $0.name == peer }) else { return }
        for figure in figures {
            columns[column].figures[figure.title] = figure
            if !titles.contains(figure.title) { titles.append(figure.title) }
        }
    }

    var text: String {
        var lines = ["| | bar | " + columns.map(\.name).joined(separator: " | ") + " |"]
        lines.append("|---|---:" + String(repeating: "|---:", count: columns.count) + "|")
        for title in titles {
            let bar = columns.lazy.compactMap { $0.figures[title]?.bar }.first
            let cells = columns.map { $0.figures[title]?.value ?? "–" }
            lines.append("| \(title) | \(bar?.text ?? "") | \(cells.joined(separator: " | ")) |")
        }
        return (lines + [verdict]).joined(separator: "\n")
    }

    private var verdict: String {
        let own = columns.first { $0.name == QuantPype.ownName }?.figures.values ?? [:].values
        let held = own.filter { $0.bar != nil }
        let missed = held.filter { !($0.bar?.admits($0.number) ?? true) }.map(\.title).sorted()
        if held.isEmpty { return "" }
        return missed.isEmpty
            ? "\nEvery bar is met (\(held.count))."
            : "\nMissed, \(missed.count) of \(held.count): \(missed.joined(separator: "; "))."
    }
}
