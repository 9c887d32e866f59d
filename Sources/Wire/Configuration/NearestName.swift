/// Finding the name that was probably meant.
public enum NearestName {
    /// The known name with the fewest edits from `name`, if at most a third of its letters (and at least one) need to
    /// change; case differences count nothing. Ties go to the first in `known`'s order.
    public static func of(_ name: String, among known: some Sequence<String>) -> String? {
        let limit = max(1, name.count / 3)
        var best: (name: String, distance: Int)?
        for candidate in known {
            let distance = distance(name.lowercased(), candidate.lowercased())
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// "did you mean \"x\"?" and then, or the whole list.
    public static func remedy(_ name: String, among known: [String], otherwise: String? = nil) -> String {
        if let nearest = of(name, among: known) { return "did you mean \"\(nearest)\"?" }
        if let otherwise { return otherwise }
        return known.isEmpty ? "there are none to name" : "known: \(known.joined(separator: ", "))"
    }

    /// Optimal string alignment distance (Damerau 1964): insertions, deletions, substitutions, and swaps of
    /// neighbours, since swapped letters are the commonest slip.
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left), right = Array(right)
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(last[column + 1] + 1, current[column] + 1, last[column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
