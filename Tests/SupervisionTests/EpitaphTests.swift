import Testing
import Wire

@testable import Supervision

@Suite struct EpitaphTests {
    private func epitaph(
        _ cause: ExitCause, _ exit: TerminalReport.Exit, stop: StopReason? = nil, uptime: Nanoseconds = .seconds(3),
        _ change: (inout Epitaph.Circumstances) -> Void = { _ in }
    ) -> Epitaph {
        var facts = Epitaph.Circumstances(manifest: "agents/A/agent.json")
        if case .signalled(let number) = exit {
            facts.signalName = [6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM", 25: "SIGXFSZ"][number]
        }
        change(&facts)
        let report = TerminalReport(
            incarnation: 4, cause: cause, exit: exit, stopReason: stop, pid: 7, wasReady: true, uptime: uptime,
            at: .zero)
        return Epitaph("A", report, facts)
    }

    @Test func whoWentDownWithItsGroupIsToldWhatBringsItBack() {
        let known = epitaph(.operator, .exited(code: 0), stop: .escalation) { $0.culprit = "B" }
        #expect(known.summary == "A ended after 3 s because B, a member of its group, was given up.")
        #expect(known.advice.contains("`agentctl why B`") && known.advice.contains("`agentctl start B` brings A back"))
        let unknown = epitaph(.operator, .exited(code: 0), stop: .escalation)
        #expect(unknown.advice.contains("`agentctl status`") && unknown.advice.contains("`agentctl start A`"))
        #expect(Plight.sentence("A", downWith: "B").contains("stopped because B, a member of its group, was given up"))
    }

    @Test func saysWhatHappenedAndWhatToDo() {
        let cases: [(Epitaph, String, String)] = [
            (epitaph(.exit, .exited(code: 0)), "A ended by itself, well (code 0), after 3 s.", "restart.policy"),
            (
                epitaph(.exit, .exited(code: 3), uptime: .milliseconds(12)) { $0.lastWords = "no such book" },
                "A ended by itself with code 3 after 12 ms, saying \"no such book\".", "agentctl logs A"
            ),
            (
                epitaph(.exit, .exited(code: 78)) { $0.lastWords = "'settings.x' must be a number" },
                "A could not work with its configuration (code 78), saying \"'settings.x' must be a number\".",
                "supervisor --check"
            ),
            (
                epitaph(.signal, .signalled(11), uptime: .seconds(7_500)) { $0.lastWords = "Fatal error: x" },
                "A crashed (SIGSEGV) after 2 h 5 min, saying \"Fatal error: x\".", "defect of the agent"
            ),
            (
                epitaph(.signal, .signalled(9)),
                "A was killed from outside (SIGKILL) after 3 s; the supervisor did not do it.",
                "dmesg"
            ),
            (epitaph(.signal, .signalled(15)), "A was ended by SIGTERM from outside after 3 s.", "Whoever sent"),
            (
                epitaph(.signal, .signalled(25)) { $0.fileSizeLimit = "1M" },
                "A wrote more into a file than its limit of 1M and was ended (SIGXFSZ) after 3 s.", "limits.fileSize"
            ),
            (
                epitaph(.memory, .signalled(9)) { $0.memoryLimit = "64M" },
                "A used more memory than its limit of 64M and was killed after 3 s.",
                "limits.memory in agents/A/agent.json"
            ),
            (
                epitaph(.watchdog, .signalled(9), stop: .watchdog) { $0.watchdogSeconds = 2 },
                "A gave no sign of life for 2 s and was killed after 3 s.", "watchdogSeconds"
            ),
            (
                epitaph(.startupTimeout, .signalled(9), stop: .startupTimeout) { $0.startTimeoutSeconds = 0.2 },
                "A was not ready within 0.2 s and was killed.", "start.timeoutSeconds"
            ),
            (
                epitaph(.execFailed, .notSpawned("/x needs the interpreter /y")),
                "A could not be started: /x needs the interpreter /y.", "\"executable\""
            ),
            (
                epitaph(.operator, .exited(code: 0), stop: .operatorStop),
                "A ended after 3 s because an operator stopped it.",
                "Nothing"
            ),
            (
                epitaph(.operator, .signalled(9), stop: .shutdown),
                "A ended after 3 s because the supervisor stopped everything; it had not ended within 5 s and was killed.",
                "stop.timeoutSeconds"
            ),
            (epitaph(.exit, .survives), "A could not be killed: its processes survive SIGKILL.", "state D"),
            (
                epitaph(.exit, .unknown),
                "A ended after 3 s, how is not known: it was started by a supervisor that is gone, and this kernel tells "
                    + "nobody else (Linux 6.15 and newer do).",
                "agentctl logs"
            ),
        ]
        for (epitaph, summary, advice) in cases {
            #expect(epitaph.summary == summary)
            #expect(epitaph.advice.contains(advice), "\(epitaph.advice)")
        }
    }

    @Test func whoSaidThatItStopsAndDidNotWasNotKilledFromOutside() {
        let text = epitaph(.signal, .signalled(9), stop: .agentNotice)
        #expect(text.summary.contains("said that it was stopping") && !text.summary.contains("outside"))
        #expect(text.advice.contains("stop.timeoutSeconds"))
        #expect(epitaph(.signal, .signalled(9)).summary.contains("outside"))
    }

    @Test func whoWentWithItsSupervisorDidNotCrash() {
        let text = epitaph(.operator, .signalled(15), stop: .supervisorLoss)
        #expect(text.summary.contains("its supervisor was gone") && !text.summary.contains("outside"))
    }

    /// Every kind of end has a sentence that names the agent, and a next step.
    @Test(arguments: ExitCause.allCases) func nothingIsLeftUnsaid(cause: ExitCause) {
        for exit in [
            TerminalReport.Exit.exited(code: 1), .signalled(9), .signalled(62), .unknown, .notSpawned("x"), .survives,
        ] {
            for stop in StopReason.allCases.map(Optional.some) + [nil] {
                let text = epitaph(cause, exit, stop: stop)
                #expect(text.summary.hasPrefix("A ") && text.summary.hasSuffix(".") && !text.advice.isEmpty)
            }
        }
    }
}
