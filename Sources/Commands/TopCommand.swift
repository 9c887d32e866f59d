import ArgumentParser
import Wire

struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "The status table, again and again, busiest agents first.",
        discussion: """
            On a terminal it is redrawn in place; keys: q ends it, c m r u n sort by CPU, memory, restarts, uptime, name.
            Elsewhere it prints one table and ends; with -n that many, one each interval. It goes on with the supervisor that comes after an \
            upgrade or a crash.
            """)

    @OptionGroup var socket: SocketOptions
    @Option(name: .shortAndLong, help: ArgumentHelp("Seconds between two looks.", valueName: "seconds"))
    var interval = 1.0
    @Option(
        name: [.customShort("n"), .long],
        help: "How many looks; 0: until q or Ctrl-C. Default: 0 on a terminal, else 1.")
    var count: Int?
    @Flag(help: "Show what limits each agent.")
    var limits = false
    @OptionGroup var reconnection: Reconnection.Options

    func validate() throws {
        guard interval >= 0.1, interval <= 3_600 else { throw ValidationError("--interval takes 0.1 to 3600 seconds") }
        if let count, count < 0 { throw ValidationError("--count takes 0 or more") }
    }

    func run() throws {
        let reconnection = Reconnection(path: try socket.path(), seconds: reconnection.wait)
        var connection: Reconnection.Connection? = try Reconnection.Connection(path: reconnection.path)
        let looks = count ?? (Terminal.isOutputTerminal ? 0 : 1)
        let screen = LiveScreen()
        defer { screen.close() }
        var order = Order.cpu
        var look = 0
        var shown: StatusTable.Parts?
        while let supervisor = connection?.supervisor {
            var report: StatusReport
            do {
                guard let answer = try connection?.client.status().report else { return }
                report = answer
            } catch let end as Failure where end.code == .noSupervisor {
                tell(reconnection.notice(supervisor), under: shown, on: screen)
                // Without a terminal it only waits.
                connection = try reconnection.next { screen.key(within: $0) != .quit }
                if let next = connection?.supervisor { tell(Reconnection.greeting(next), under: shown, on: screen) }
                continue
            }
            report.agents.sort(by: order.comes(_:before:))
            if Terminal.isOutputTerminal {
                let parts = StatusTable.parts(
                    report, width: Terminal.columns, colour: Terminal.usesColour, showsLimits: limits)
                shown = parts
                draw(parts, "sorted by \(order.rawValue); q ends, c m r u n sort", on: screen)
            } else {
                let lines = StatusTable.lines(
                    report, width: Terminal.columns, colour: Terminal.usesColour, showsLimits: limits)
                Terminal.say(lines.joined(separator: "\n"))
            }
            look += 1
            if looks > 0, look >= looks { return }
            switch screen.key(within: interval) {
            case .quit: return
            case .other(let byte): order = Order(key: byte) ?? order
            case nil: break
            }
        }
    }

    private func draw(_ parts: StatusTable.Parts, _ footer: String, on screen: LiveScreen) {
        screen.draw(TopScreen.lines(parts, rows: LiveScreen.rows, width: Terminal.columns, footer: footer))
    }

    private func tell(_ notice: String, under shown: StatusTable.Parts?, on screen: LiveScreen) {
        if Terminal.isOutputTerminal {
            if let shown {
                draw(shown, notice, on: screen)
            } else {
                screen.draw([notice.clipped(to: Terminal.columns)])
            }
        } else if reconnection.wait > 0 {
            Terminal.complain("agentctl: \(notice)")
        }
    }

    /// What the table is sorted by; the same goes by name.
    enum Order: String, CaseIterable {
        case cpu = "CPU"
        case memory, restarts, uptime, name

        init?(key: UInt8) {
            switch key {
            case UInt8(ascii: "c"): self = .cpu
            case UInt8(ascii: "m"): self = .memory
            case UInt8(ascii: "r"): self = .restarts
            case UInt8(ascii: "u"): self = .uptime
            case UInt8(ascii: "n"): self = .name
            default: return nil
            }
        }

        func comes(_ one: AgentStatus, before other: AgentStatus) -> Bool {
            func decide<Value: Comparable>(_ one: Value, _ two: Value, _ names: Bool) -> Bool {
                one == two ? names : one > two
            }
            let byName = one.name < other.name
            switch self {
            case .cpu: return decide(one.cpuPercent, other.cpuPercent, byName)
            case .memory: return decide(one.rssBytes, other.rssBytes, byName)
            case .restarts: return decide(one.restarts, other.restarts, byName)
            case .uptime: return decide(one.uptimeSeconds, other.uptimeSeconds, byName)
            case .name: return byName
            }
        }
    }
}
