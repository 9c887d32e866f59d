import Foundation
import Journal

/// What a storm takes of disk and memory; all of it has to be bounded, however long it lasts.
struct StormSizes: CustomStringConvertible {
    /// Largest that a journal was, by agent, bytes.
    private(set) var journals: [String: Int] = [:]
    /// Most memory of any incarnation that was looked at, by agent, bytes.
    private(set) var memory: [String: Int] = [:]

    mutating func look(at run: String) {
        for agent in StormFleet.path {
            let bytes = Self.bytes(of: "\(run)/agents/\(agent)/\(JournalWriter.directoryName)")
            journals[agent] = max(journals[agent] ?? 0, bytes)
        }
        for (agent, pid) in Processes.agents(ofRun: run) {
            guard let bytes = Processes.peakBytes(of: pid) else { continue }
            memory[agent] = max(memory[agent] ?? 0, bytes)
        }
    }

    var largestJournal: Int { journals.values.max() ?? 0 }

    var description: String { "journals at most \(Self.list(journals)); memory at most \(Self.list(memory))" }

    private static func list(_ sizes: [String: Int]) -> String {
        sizes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value >> 20) MB" }.joined(separator: ", ")
    }

    /// Of the files of a folder.
    static func bytes(of folder: String) -> Int {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.reduce(0) { sum, file in
            var info = stat()
            return stat("\(folder)/\(file)", &info) == 0 ? sum + Int(info.st_blocks) * 512 : sum
        }
    }
}
