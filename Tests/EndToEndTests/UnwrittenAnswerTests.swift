import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// Where an answer can't be written, agentctl says so; where nobody reads on, it ends in silence.
    @Suite struct UnwrittenAnswers {
        @Test("a full disk ends every command with 1 and one line")
        func fullDisk() throws {
            try withMarket { run in
                try run.settled()
                for command in [
                    "status", "status --json", "status --limits MarketFeed", "graph", "graph --json", "events",
                    "events --json",
                    "logs MarketFeed", "top -n 1", "rpc status", "why MarketFeed", "why MarketFeed --json",
                    "journal stat",
                    "--help", "help status", "start MarketFeed",
                ] {
                    let outcome = try Self.shell("exec \"$CTL\" \(command) > /dev/full", run)
                    #expect(outcome.exit == .code(1), "\(command): \(outcome)")
                    let lines = outcome.error.split(separator: "\n")
                    #expect(
                        lines.count == 1 && outcome.error.contains("No space left on device"),
                        "\(command): \(outcome.error)")
                }
                try run.stop()
            }
        }

        @Test("whoever reads no further is told nothing")
        func closedPipe() throws {
            try withMarket { run in
                try run.settled()
                for command in ["status", "events", "logs MarketFeed", "why MarketFeed"] {
                    // Once as a shell has it, once with SIGPIPE ignored, as some services do.
                    for before in ["", "trap '' PIPE;"] {
                        let outcome = try Self.shell("\(before) \"$CTL\" \(command) | true", run)
                        #expect(outcome.exit == .code(0) && outcome.error.isEmpty, "\(command): \(outcome)")
                    }
                }
                try run.stop()
            }
        }

        private static func shell(_ line: String, _ run: SupervisorRun) throws -> Program.Outcome {
            try Program.run(
                "/bin/sh", ["-c", line], environment: ["CTL": Programs.agentctl, "QP_SOCKET": run.place.socket])
        }

        private func withMarket(_ body: (SupervisorRun) throws -> Void) throws {
            try Place.with { place in
                try place.adopt("MarketFeed", "AlphaScanner")
                try place.withSupervisor { try body($0) }
            }
        }
    }
}
