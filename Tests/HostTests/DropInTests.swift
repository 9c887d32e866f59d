import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What users, editors and copying programs do to the agents directory of a running supervisor.
@Suite("Drop-ins that come, change and go", .serialized)
struct DropInTests {
    private static let quick = #""watch": { "settleMs": 50 }"#

    private func rig(_ configuration: String = quick) throws -> SupervisorRig {
        let rig = try SupervisorRig(configuration)
        try rig.agent("Well", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("Well", .running)
        return rig
    }

    /// Waits until there is such an agent in this state, or none (nil).
    @discardableResult
    private func wait(
        _ rig: SupervisorRig, _ name: String, _ state: AgentState?, _ location: SourceLocation = #_sourceLocation
    ) throws -> AgentStatus? {
        var found: AgentStatus?
        try rig.wait("\(name) \(state.map(\.rawValue) ?? "gone")", location) {
            found = try rig.status().agents.first { $0.name == name }
            return found?.state == state && (state != .running || found.map(rig.isAsleep) == true)
        }
        return found
    }

    private func events(_ rig: SupervisorRig, _ word: String) throws -> [EventRecord] {
        try rig.call(.events(after: nil, count: 2_000, follow: false)).report(EventsReport.self).events
            .filter { $0.message.contains(word) }
    }

    private func undisturbed(_ rig: SupervisorRig) throws {
        let well = try rig.agent("Well")
        #expect(well.state == .running && well.incarnation == 1)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
    }

    @Test func newOnesStartAndRemovedOnesStop() throws {
        let rig = try rig()
        try rig.agent("script.sh", SupervisorRig.sleeper)
        try rig.agent("Folder", SupervisorRig.sleeper, manifest: "")
        try wait(rig, "script.sh", .running)
        #expect(try wait(rig, "Folder", .running)?.incarnation == 1)
        unlink("\(rig.path)/agents/script.sh")
        try FileManager.default.removeItem(atPath: "\(rig.path)/agents/Folder")
        try wait(rig, "script.sh", nil)
        try wait(rig, "Folder", nil)
        // Renamed: another folder, the same agent.
        try rig.agent("Named", SupervisorRig.sleeper, manifest: #""name": "Nameless""#)
        let first = try wait(rig, "Nameless", .running)
        rename("\(rig.path)/agents/Named", "\(rig.path)/agents/Renamed")
        try rig.wait("the agent in its new folder") {
            let agent = try rig.status().agents.first { $0.name == "Nameless" }
            return agent?.state == .running && agent?.pid != first?.pid
        }
        try undisturbed(rig)
    }

    @Test func aSlowCopyIsAwaitedAndHoldsUpNobody() throws {
        let rig = try rig()
        mkdir("\(rig.path)/agents/Slow", 0o755)
        try rig.write("agents/Slow/agent.json", #"{ "executable": "main" }"#)
        // It is looked at once it has come to rest, so from here on the folder is watched.
        try wait(rig, "Slow", .failed)
        let file = try Descriptor.open("\(rig.path)/agents/Slow/main", O_WRONLY | O_CREAT, mode: 0o755)
        let head = Array("#!/bin/sh\necho half\n".utf8)
        #expect(write(file.raw, head, head.count) == head.count)
        try rig.agent("Quick", SupervisorRig.sleeper)
        try wait(rig, "Quick", .running)
        let waiting = try rig.agent("Slow")
        #expect(waiting.state == .failed, "\(waiting)")
        let tail = Array("exec sleep 1000\n".utf8)
        #expect(write(file.raw, tail, tail.count) == tail.count)
        file.close()
        let slow = try wait(rig, "Slow", .running)
        #expect(slow?.incarnation == 1 && slow?.restarts == 0)
        try undisturbed(rig)
    }

    @Test func aProgramThatIsStillBeingWrittenIsTriedAgain() throws {
        let rig = try rig(#""watch": { "enabled": false }"#)
        let path = "\(rig.path)/agents/Busy"
        let file = try Descriptor.open(path, O_WRONLY | O_CREAT, mode: 0o755)
        let content = try Data(contentsOf: URL(fileURLWithPath: "/bin/sleep"))
        _ = content.withUnsafeBytes { write(file.raw, $0.baseAddress, $0.count) }
        _ = try rig.call(.reload).report(CommandReport.self)
        let waiting = try wait(rig, "Busy", .backoff)
        #expect(waiting?.message?.contains("still being written") == true, "\(String(describing: waiting))")
        // In its place at once: what is tried again meanwhile is the one or the other.
        try rig.write("whole", SupervisorRig.sleeper, mode: 0o755)
        rename("\(rig.path)/whole", path)
        file.close()
        #expect(try wait(rig, "Busy", .running)?.restarts == 0)
        try undisturbed(rig)
    }

    @Test func changesAreShownAndTakenOverByAReload() throws {
        let rig = try rig()
        try rig.agent("Folder", SupervisorRig.sleeper, manifest: "")
        let before = try wait(rig, "Folder", .running)
        try rig.write("agents/Folder/data.txt", "no business of the supervisor's")
        try rig.write("agents/Folder/agent.json", #"{ "executable": "main", "limits": { "files": 77 } }"#)
        try rig.wait("the change is shown") { try rig.agent("Folder").changed == true }
        #expect(try rig.agent("Folder").pid == before?.pid && rig.agent("Well").changed == nil)
        #expect(try events(rig, "Folder has changed on disk").count == 1)
        // A drop-in that comes meanwhile does not drag the change in.
        try rig.agent("Other", SupervisorRig.sleeper)
        try wait(rig, "Other", .running)
        #expect(try rig.agent("Folder").pid == before?.pid)
        #expect(try rig.call(.reload).report(CommandReport.self).message == "relaunched Folder")
        try rig.wait("the new manifest") {
            let agent = try rig.agent("Folder")
            return agent.state == .running && agent.incarnation == 2
                && agent.limits.first { $0.resource == "files" }?.enforced == "77"
        }
        #expect(try rig.agent("Folder").changed == nil)
        // Its program, replaced as installers do; and back to what it was.
        try rig.write("agents/Folder/main.new", "#!/bin/sh\nexec sleep 2000\n", mode: 0o755)
        rename("\(rig.path)/agents/Folder/main.new", "\(rig.path)/agents/Folder/main")
        try rig.wait("the other program is shown") { try rig.agent("Folder").changed == true }
        kill(try #require(try rig.agent("Folder").pid), SIGKILL)
        try rig.wait("a restart runs the new program") {
            let agent = try rig.agent("Folder")
            return agent.incarnation == 3 && agent.changed == nil
        }
        try undisturbed(rig)
    }

    @Test func changesRestartByThemselvesWhereThatIsWanted() throws {
        let rig = try rig(#""watch": { "settleMs": 50, "restartChanged": true }"#)
        try rig.agent("Folder", SupervisorRig.sleeper, manifest: "")
        try wait(rig, "Folder", .running)
        try rig.write("agents/Folder/agent.json", #"{ "executable": "main", "limits": { "files": 77 } }"#)
        let changed = try rig.waitFor("Folder", .running, incarnation: 2)
        #expect(changed.limits.first { $0.resource == "files" }?.enforced == "77")
        // A faulty one does no harm to the process that runs.
        try rig.write("agents/Folder/agent.json", #"{ "executable": "main", "limitz": {} }"#)
        try rig.wait("its error is shown") { try rig.agent("Folder").message?.contains("limitz") == true }
        let kept = try rig.agent("Folder")
        #expect(kept.pid == changed.pid && kept.changed == true)
        #expect(kept.message?.hasPrefix("its change is not taken: ") == true, "\(kept.message ?? "")")
        // Nor to the next one.
        kill(try #require(kept.pid), SIGKILL)
        let next = try rig.waitFor("Folder", .running, incarnation: 3)
        #expect(next.limits.first { $0.resource == "files" }?.enforced == "77")
        #expect(try rig.status().agents.map(\.name).sorted() == ["Folder", "Well"])
        try rig.write("agents/Folder/agent.json", #"{ "executable": "main", "limits": { "files": 78 } }"#)
        let cured = try rig.waitFor("Folder", .running, incarnation: 4)
        #expect(cured.limits.first { $0.resource == "files" }?.enforced == "78" && cured.message == nil)
        try undisturbed(rig)
    }

    @Test func whatCannotRunSaysWhyAndIsTakenWhenItIsCured() throws {
        let rig = try rig()
        try rig.write("agents/locked.sh", SupervisorRig.sleeper, mode: 0o644)
        let locked = try wait(rig, "locked.sh", .failed)
        #expect(locked?.message?.contains("chmod +x") == true)
        try rig.agent("lost.sh", "#!/no/such/interpreter\n")
        let lost = try wait(rig, "lost.sh", .failed)
        #expect(lost?.message?.contains("/no/such/interpreter") == true && lost?.restarts == 0)
        var foreign = try Data(contentsOf: URL(fileURLWithPath: "/bin/true"))
        foreign[18] = 8
        foreign[19] = 0
        try foreign.write(to: URL(fileURLWithPath: "\(rig.path)/mips"))
        chmod("\(rig.path)/mips", 0o755)
        rename("\(rig.path)/mips", "\(rig.path)/agents/mips")
        #expect(try wait(rig, "mips", .failed)?.message?.contains("MIPS") == true)
        mkdir("\(rig.path)/agents/Empty", 0o755)
        mkdir("\(rig.path)/agents/Torn", 0o755)
        try rig.write("agents/Torn/agent.json", #"{ "executable": "#)
        try wait(rig, "Torn", .failed)
        #expect(try events(rig, "locked.sh").filter { $0.kind == "state" }.count <= 2, "no flapping")

        chmod("\(rig.path)/agents/locked.sh", 0o755)
        try wait(rig, "locked.sh", .running)
        try rig.agent("lost.sh", SupervisorRig.sleeper)
        try wait(rig, "lost.sh", .running)
        try rig.write("agents/Torn/main", SupervisorRig.sleeper, mode: 0o755)
        try rig.write("agents/Torn/agent.json", #"{ "executable": "main" }"#)
        try wait(rig, "Torn", .running)
        try undisturbed(rig)
    }

    @Test func whatWouldHarmTheWholeIsLeftOutAndTheOthersAreTaken() throws {
        let rig = try rig()
        mkdir("\(rig.path)/agents/Twin", 0o755)
        try rig.write("agents/Twin/main", SupervisorRig.sleeper, mode: 0o755)
        try rig.write("agents/Twin/agent.json", #"{ "executable": "main", "name": "Well" }"#)
        try rig.agent("Fine", SupervisorRig.sleeper)
        try wait(rig, "Fine", .running)
        let twin = try wait(rig, "Twin", .failed)
        #expect(twin?.message?.contains("two agents are called Well") == true && twin?.pid == nil)
        #expect(try events(rig, "Twin is not taken").count == 1)
        // Others that come and go do not make it say so again.
        unlink("\(rig.path)/agents/Fine")
        try wait(rig, "Fine", nil)
        #expect(try events(rig, "Twin is not taken").count == 1)
        try rig.write("agents/Twin/agent.json", #"{ "executable": "main" }"#)
        try wait(rig, "Twin", .running)
        try undisturbed(rig)
    }

    @Test func namesOfEditorsAndCopiesAreIgnored() throws {
        let rig = try rig()
        for name in ["a.sh~", ".a.sh.swp", ".a.sh.Xy12Zw", "a.sh.part", "4913", "#a.sh#", "a.sh.bak"] {
            try rig.write("agents/\(name)", SupervisorRig.sleeper, mode: 0o755)
        }
        // rsync: a hidden name, then the right one.
        rename("\(rig.path)/agents/.a.sh.Xy12Zw", "\(rig.path)/agents/a.sh")
        try wait(rig, "a.sh", .running)
        #expect(try rig.status().agents.map(\.name) == ["Well", "a.sh"])
        try undisturbed(rig)
    }

    @Test func thoseThatAreRemovedTogetherStopProducersFirst() throws {
        // Long enough that both removals are one look.
        let rig = try SupervisorRig(#""watch": { "settleMs": 2000 }"#)
        try rig.agent("Well", SupervisorRig.sleeper)
        try rig.agent(
            "Source", SupervisorRig.sleeper,
            manifest: #""outputs": { "items": { "type": "TextItem", "delivery": "queue" } }"#)
        try rig.agent(
            "Sink", SupervisorRig.sleeper,
            manifest: #""inputs": { "in": { "type": "TextItem", "delivery": "queue", "from": "Source.items" } }"#)
        // There from the start: one that comes to a running one has it started anew, for a queue's ends know each other from birth.
        try rig.start()
        for name in ["Well", "Source", "Sink"] { try wait(rig, name, .running) }
        for name in ["Sink", "Source"] { try FileManager.default.removeItem(atPath: "\(rig.path)/agents/\(name)") }
        try wait(rig, "Source", nil)
        try wait(rig, "Sink", nil)
        let stops = try rig.call(.events(after: nil, count: 2_000, follow: false)).report(EventsReport.self).events
            .filter { $0.kind == "exit" || $0.to == .stopping }.map { "\($0.agent ?? "") \($0.kind)" }
        #expect(stops.suffix(4) == ["Source state", "Source exit", "Sink state", "Sink exit"])
        try undisturbed(rig)
    }

    @Test func aDirectoryThatGoesStopsNobodyAndIsFoundAgain() throws {
        let rig = try rig()
        rename("\(rig.path)/agents", "\(rig.path)/away")
        try rig.wait("the loss is told") { try !events(rig, "is gone; nothing is stopped").isEmpty }
        #expect(try rig.agent("Well").state == .running)
        try rig.write("away/late.sh", SupervisorRig.sleeper, mode: 0o755)
        rename("\(rig.path)/away", "\(rig.path)/agents")
        try wait(rig, "late.sh", .running)
        try undisturbed(rig)
    }

    @Test func whatIsMissingInANewDirectoryIsNotStoppedBeforeAnOperatorSaysSo() throws {
        let rig = try rig()
        try rig.agent("Second", SupervisorRig.sleeper)
        try wait(rig, "Second", .running)
        rename("\(rig.path)/agents", "\(rig.path)/old")
        try rig.wait("the loss is told") { try !events(rig, "is gone; nothing is stopped").isEmpty }
        mkdir("\(rig.path)/agents", 0o755)
        try rig.wait("the return is told") { try !events(rig, "is there again").isEmpty }
        // What comes is taken; a look at what has come has seen that the others are missing.
        try rig.agent("Late", SupervisorRig.sleeper, manifest: "")
        try wait(rig, "Late", .running)
        rename("\(rig.path)/old/Well", "\(rig.path)/agents/Well")
        try rig.agent("Later", SupervisorRig.sleeper)
        try wait(rig, "Later", .running)
        #expect(try rig.agent("Second").state == .running && rig.agent("Second").incarnation == 1)
        _ = try rig.call(.reload)
        try wait(rig, "Second", nil)
        try undisturbed(rig)
    }

    /// Releases side by side, and a link that points to the one in force.
    @Test(arguments: ["agents", "current/agents"])
    func aLinkThatIsSwappedIsADeployment(_ link: String) throws {
        let rig = try SupervisorRig()
        try rig.write(
            "supervisor.json", #"{ "runDirectory": "run", "agentsDirectory": "\#(link)", \#(Self.quick) }"#)
        let inside = link == "agents" ? "" : "/agents"
        let linkPath = "\(rig.path)/\(link.split(separator: "/")[0])"
        try FileManager.default.removeItem(atPath: "\(rig.path)/agents")
        for release in ["rel1", "rel2"] {
            try FileManager.default.createDirectory(
                atPath: "\(rig.path)/\(release)\(inside)", withIntermediateDirectories: true)
            try rig.write("\(release)\(inside)/Changing", SupervisorRig.sleeper + "# \(release)\n", mode: 0o755)
        }
        try rig.write("rel1\(inside)/Well", SupervisorRig.sleeper, mode: 0o755)
        Glibc.link("\(rig.path)/rel1\(inside)/Well", "\(rig.path)/rel2\(inside)/Well")
        try rig.write("rel2\(inside)/New", SupervisorRig.sleeper, mode: 0o755)
        symlink("rel1", linkPath)
        try rig.start()
        for name in ["Well", "Changing"] { try wait(rig, name, .running) }
        symlink("rel2", "\(linkPath).new")
        rename("\(linkPath).new", linkPath)
        try wait(rig, "New", .running)
        _ = try rig.waitFor("Changing", .running, incarnation: 2)
        // What comes into the new one is noticed.
        try rig.write("rel2\(inside)/Later", SupervisorRig.sleeper, mode: 0o755)
        try wait(rig, "Later", .running)
        try undisturbed(rig)
    }

    @Test(.enabled(if: geteuid() == 0, "only root mounts"))
    func aReloadWatchesWhatIsMountedInTheDirectorysPlace() throws {
        let rig = try rig()
        let agents = "\(rig.path)/agents"
        guard mount("none", agents, "tmpfs", 0, nil) == 0 else { return }
        defer { umount2(agents, Int32(MNT_DETACH)) }
        try rig.agent("Mounted", SupervisorRig.sleeper)
        try rig.agent("Well", SupervisorRig.sleeper)
        _ = try rig.call(.reload)
        _ = try rig.waitFor("Mounted", .running)
        try rig.agent("Later", SupervisorRig.sleeper)
        try wait(rig, "Later", .running)
        umount2(agents, Int32(MNT_DETACH))
        // What was under it all the time is watched again.
        _ = try rig.call(.reload)
        try wait(rig, "Mounted", nil)
        try rig.agent("Last", SupervisorRig.sleeper)
        try wait(rig, "Last", .running)
        #expect(try rig.stop() == 0)
    }

    @Test(.enabled(if: geteuid() == 0, "only root mounts"), arguments: ["agents", ""])
    func whatIsMountedInTheDirectorysPlaceIsSeen(_ place: String) throws {
        let rig = try SupervisorRig()
        let mountPoint = "\(rig.path)/over" + (place.isEmpty ? "" : "/\(place)")
        mkdir("\(rig.path)/over", 0o755)
        mkdir("\(rig.path)/over/agents", 0o755)
        try rig.write(
            "supervisor.json", #"{ "runDirectory": "run", "agentsDirectory": "over/agents", \#(Self.quick) }"#)
        try rig.write("over/agents/Well", "#!/bin/sh\necho here\nexec sleep 1000\n", mode: 0o755)
        try rig.start()
        let pid = try rig.waitFor("Well", .running).pid
        // Its shell has found the script by its name.
        try rig.waitForLine("here", of: "Well")
        guard mount("none", mountPoint, "tmpfs", 0, nil) == 0 else { return }
        defer { umount2(mountPoint, Int32(MNT_DETACH)) }
        mkdir("\(rig.path)/over/agents", 0o755)
        try rig.wait("it is told") { rig.output.contains("another directory is mounted") || place.isEmpty }
        try rig.write("over/agents/Mounted", SupervisorRig.sleeper, mode: 0o755)
        try wait(rig, "Mounted", .running)
        #expect(try rig.agent("Well").pid == pid, "what is missing is left alone for a while")
        umount2(mountPoint, Int32(MNT_DETACH))
        try rig.write("over/agents/Last", SupervisorRig.sleeper, mode: 0o755)
        try wait(rig, "Last", .running)
        #expect(try rig.agent("Well").pid == pid)
        #expect(try rig.stop() == 0)
    }

    /// Each is refused as a whole, with its reason, and changes nothing, whatever else has changed with it.
    @Test func noFaultyReloadChangesAnything() throws {
        let rig = try rig(#""watch": { "enabled": false }"#)
        let pid = try rig.agent("Well").pid
        let agents = "\(rig.path)/agents"
        func manifest(_ name: String, _ text: String) throws {
            mkdir("\(agents)/\(name)", 0o755)
            try rig.write("agents/\(name)/main", SupervisorRig.sleeper, mode: 0o755)
            try rig.write("agents/\(name)/agent.json", text)
        }
        try rig.agent("Late", SupervisorRig.sleeper)
        let start = #"{ "runDirectory": "run", "watch": { "enabled": false }"#
        let faults: [(configuration: String, word: String)] = [
            ("{", "supervisor.json:1"), ("[]", "object"), ("", "supervisor.json"), (start + ",}", "supervisor.json:1"),
            (start + #", "agentz": 1 }"#, "agentz"), (start + #", "agents": { "Wel": {} } }"#, "did you mean"),
            (start + #", "agents": { "Well": { "limits": { "memory": "lots" } } } }"#, "lots"),
            (start + #", "agentsDirectory": "nowhere" }"#, "nowhere"),
            (start + #", "logs": { "files": 0 } }"#, "logs.files"),
            (start + #", "watch": { "settleMs": 0 } }"#, "watch"),
            (start + #", "pipelines": { "main": { "strategy": "all" } } }"#, "strategy"),
            (start + #", "pipelines": { "main": { "wires": { "Well.in": "Late.out" } } } }"#, "no input"),
            (#"{ "runDirectory": "elsewhere" }"#, "runDirectory can't change"),
        ]
        for fault in faults {
            try rig.write("supervisor.json", fault.configuration)
            let refusal = try rig.call(.reload).refusal
            #expect(refusal?.contains(fault.word) == true, "\(fault.configuration): \(refusal ?? "taken")")
            #expect(try rig.status().agents.map(\.name) == ["Well"])
        }
        try rig.write("supervisor.json", start + " }")
        try manifest("Twin", #"{ "executable": "main", "name": "Well" }"#)
        #expect(try rig.call(.reload).refusal?.contains("two agents are called Well") == true)
        try FileManager.default.removeItem(atPath: "\(agents)/Twin")
        try manifest(
            "Alpha",
            #"{ "executable": "main", "role": "alpha", "outputs": { "out": { "type": "Proposal", "delivery": "queue" } } }"#
        )
        try manifest(
            "Venue",
            #"{ "executable": "main", "role": "venue", "inputs": { "in": { "type": "Proposal", "delivery": "queue", "from": "Alpha.out" } } }"#
        )
        #expect(try rig.call(.reload).refusal?.contains("without a risk approval") == true)
        #expect(try rig.status().agents.map(\.name) == ["Well"])
        for name in ["Alpha", "Venue"] { try FileManager.default.removeItem(atPath: "\(agents)/\(name)") }
        #expect(try rig.call(.reload).report(CommandReport.self).message == "added Late")
        #expect(try rig.agent("Well").pid == pid)
        try undisturbed(rig)
    }
}
