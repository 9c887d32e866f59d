import Foundation

/// `make bench`: what the platform costs, beside what it stands on, measured in one run so that the ratios mean something
/// on a noisy machine; `bench durable` only what durable wires and approvals cost; `make bench-supervision`
/// (`bench supervision [PART…] [PEER…]`): this supervisor beside Debian's. Everything runs on this machine; nothing is sent
/// anywhere.
@main struct Bench {
    static func main() {
        do { try measure() } catch {
            FileHandle.standardError.write(Data("bench: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func measure() throws {
        let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        let words = Array(CommandLine.arguments.dropFirst())
        if words.first == "supervision" {
            print(try SupervisionBench(programs: programs, words: Array(words.dropFirst())).table().text)
            return
        }
        let rounds = ProcessInfo.processInfo.environment["BENCH_ROUNDS"].flatMap { Int($0) } ?? 3
        let chains = ChainBench(programs: programs)
        let durable = DurableBench(chains: chains)
        if words == ["durable"] {
            print(try durable.hop(rounds: rounds))
            print(try durable.power(rounds: rounds))
            print(try DiskBench(directory: programs).measure())
            print(try ApprovalBench().measure())
            return
        }
        let spawns = SpawnBench(programs: programs)
        print("Four hops, source → A → B → C → sink, 200-byte messages over ipc; \(rounds) rounds, the two in turn.")
        let latency = try chains.latency(rounds: rounds)
        print(latency.text)
        print(try chains.throughput(rounds: rounds).text)
        print("\nDurable wires")
        print(try durable.hop(rounds: rounds))
        print(try durable.power(rounds: rounds))
        print(try DiskBench(directory: programs).measure())
        print("\nApprovals")
        print(try ApprovalBench().measure())
        print("\nSpawn to ready, \(SpawnBench.restarts) restarts of one agent under the supervisor:")
        print(try spawns.measure())
    }
}

/// Medians of some rounds of A and B, taken in turn.
struct Comparison {
    var title: String
    var unit: String
    var bare: [String: [Double]] = [:]
    var agents: [String: [Double]] = [:]
    /// In the order in which they are printed.
    var figures: [String]

    var text: String {
        let rows = figures.map { figure in
            let (bare, agents) = (median(bare[figure] ?? []), median(agents[figure] ?? []))
            return "  \(pad(figure, 12)) bare libzmq \(pad(number(bare), 10)) SDK agents \(pad(number(agents), 10)) "
                + "ratio \(String(format: "%.2f", agents / bare))"
        }
        return "\(title) (\(unit), median of the rounds)\n" + rows.joined(separator: "\n")
    }

    private func number(_ value: Double) -> String {
        value >= 10_000 ? String(format: "%.0f", value) : String(format: "%.1f", value)
    }
}

func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

/// What went wrong, with the output of the program that did.
struct BenchError: Error, CustomStringConvertible {
    var description: String
}

/// Runs a program to its end and returns its standard output; throws when it fails or takes longer than `seconds`.
func run(_ program: String, _ arguments: [String], seconds: Double) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.standardError
    try process.run()
    let killer = DispatchWorkItem { process.terminate() }
    DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: killer)
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    killer.cancel()
    let text = String(decoding: data, as: UTF8.self)
    guard process.terminationStatus == 0 else {
        throw BenchError(description: "\(program) \(arguments) ended with \(process.terminationStatus): \(text)")
    }
    return text
}
