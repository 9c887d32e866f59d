import Foundation

/// The names by which a path is found: its own, and those of the symbolic links on the way. Whoever changes one of them puts
/// something else in its place without touching what was there.
enum PathSteps {
    struct Step: Equatable {
        /// Without symbolic links.
        let folder: String
        let name: String
        let isLink: Bool
    }

    /// Links followed, as the kernel does (path_resolution(7)).
    static let maxLinks = 40

    /// As they are now; as far as the path leads.
    ///
    /// - Parameter path: absolute.
    static func of(_ path: String) -> [Step] {
        var steps: [Step] = []
        var folder: [Substring] = []
        var rest = path.split(separator: "/")[...]
        var links = 0
        while let name = rest.popFirst() {
            if name == "." { continue }
            if name == ".." {
                folder = folder.dropLast()
                continue
            }
            let place = "/" + folder.joined(separator: "/")
            let target = try? FileManager.default.destinationOfSymbolicLink(
                atPath: place == "/" ? "/\(name)" : "\(place)/\(name)")
            if target != nil || rest.isEmpty {
                steps.append(Step(folder: place, name: String(name), isLink: target != nil))
            }
            guard let target else {
                folder.append(name)
                continue
            }
            links += 1
            guard links <= maxLinks else { return steps }
            if target.hasPrefix("/") { folder = [] }
            rest = target.split(separator: "/")[...] + rest
        }
        return steps
    }
}
