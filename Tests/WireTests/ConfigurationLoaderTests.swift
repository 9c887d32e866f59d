import Testing

@testable import Wire

@Suite struct ConfigurationLoaderTests {
    private let run = #"{"executable": "run"}"#

    // MARK: supervisor.json

    @Test func anEmptyConfigurationHasDefaults() throws {
        let plan = try FakeDisk().plan()
        #expect(plan.configuration.runDirectory == "/qp/run")
        #expect(plan.configuration.agentsDirectory == "/qp/agents")
        #expect(plan.configuration.controlSocketPath == "/qp/run/control.sock")
        #expect(plan.configuration.logs.files == 5 && plan.configuration.logs.maxSize.bytes == 10 << 20)
        #expect(plan.agents.isEmpty && plan.graph.edges.isEmpty)
    }

    @Test func relativePathsAreRelativeToTheFile() throws {
        var disk = FakeDisk(#"{"runDirectory": "../run/./x", "agentsDirectory": "/other"}"#)
        disk.files["/other/"] = ""
        let configuration = try disk.plan().configuration
        #expect(configuration.runDirectory == "/run/x")
        #expect(configuration.agentsDirectory == "/other")
    }

    @Test(arguments: [
        (#"{"runDir": "x"}"#, "supervisor.json:1:2: runDir: unknown key \"runDir\""),
        (#"{"agentDirectory": "x"}"#, "did you mean \"agentsDirectory\"?"),
        (#"{"runDirectory": 1}"#, "runDirectory: a number stands where a string is expected"),
        (#"{"runDirectory": ""}"#, "an empty string"),
        (#"{"agentsDirectory": "nowhere"}"#, "/qp/nowhere: it does not exist; create the folder"),
        (#"{"defaults": {"memory": "1G"}}"#, "defaults.memory: unknown key \"memory\""),
        (#"{"defaults": {"name": "x"}}"#, "unknown key \"name\""),
        (#"{"defaults": {"limits": {"cpu": "half"}}}"#, "defaults.limits.cpu: a string stands where a number"),
        (#"{"agents": []}"#, "agents: a list stands where an object is expected"),
        (#"{"agents": {"Alhpa": {}}}"#, "did you mean \"Alpha\"?"),
        (#"{"agents": {"Alhpa": {"enabled": false}}}"#, "did you mean \"Alpha\"?"),
        (#"{"agents": {"Alpha": {"limit": {}}}}"#, "did you mean \"limits\"?"),
        (#"{"agents": {"Alpha": {"name": "Beta"}}}"#, "can't rename its agent"),
        (#"{"logs": {"files": 0}}"#, "logs.files: 0 is out of range; write 1 to 1000"),
        (#"{"logs": {"maxSize": "1"}}"#, "write 4K to 1T"), (#"{"logs": {"size": 1}}"#, "unknown key \"size\""),
        (#"{"pipelines": {"main": {"strategy": "one_for_al"}}}"#, "did you mean \"one_for_all\"?"),
        (#"{"pipelines": {"main": {"wire": {}}}}"#, "did you mean \"wires\"?"),
        (#"{"pipelines": {"main": {"agents": ["Alpah"]}}}"#, "did you mean \"Alpha\"?"),
        (#"{"pipelines": {"main": {"intensity": {"restarts": 1.5}}}}"#, "not a whole number"),
        (#"{"pipelines": {"ma in": {}}}"#, "can't be a pipeline's name"),
        (#"[]"#, "a list stands where an object is expected"), ("{", "the file is cut off"),
        (#"{"logs": {}, "logs": {}}"#, "the key stands twice in one object"),
    ])
    func everyKeyIsChecked(text: String, expected: String) {
        let disk = FakeDisk(text, agents: ["Alpha": run])
        #expect(disk.isFatal)
        #expect(disk.errors().contains { $0.contains(expected) }, "\(disk.errors())")
        #expect(disk.errors().count == 1, "\(disk.errors())")
    }

    @Test("what is said of an agent that is not there is told, and hinders nobody")
    func leftovers() throws {
        let text = #"{"agents": {"Beta": {"limits": {"files": 100}}, "Gone": {"enabled": false}, "Alpha": {}}}"#
        let plan = try FakeDisk(text, agents: ["Alpha": run]).plan()
        #expect(plan.leftovers.map(\.name) == ["Beta"] && plan.leftovers.first?.nearest == nil)
        #expect(
            plan.notes == [
                "/qp/supervisor.json:1:13: agents.Beta: there is no agent \"Beta\", and what stands here is for nobody; "
                    + "remove this entry, or add the agent to the agents directory"
            ])
        // Its mistakes are mistakes all the same.
        let wrong = FakeDisk(#"{"agents": {"Beta": {"limit": {}}}}"#, agents: ["Alpha": run])
        #expect(wrong.isFatal && wrong.errors().contains { $0.contains("did you mean \"limits\"?") })
    }

    @Test("an entry with nearly an agent's name is a slip, unless it was an agent's own")
    func nearLeftovers() throws {
        let disk = FakeDisk(#"{"agents": {"Alpha2": {"enabled": false}}}"#, agents: ["Alpha": run])
        #expect(disk.isFatal)
        func load(knowing known: Set<String>) -> FleetPlan? {
            try? FleetPlan.load(
                configurationFile: "/qp/supervisor.json", programDirectory: "/qp/bin", from: disk,
                isKnown: known.contains
            ).get()
        }
        #expect(load(knowing: ["Alpha"]) == nil)
        let plan = try #require(load(knowing: ["Alpha", "Alpha2"]))
        #expect(plan.leftovers.map(\.nearest) == ["Alpha"] && plan.notes.count == 1)
        // The next look at the directory knows it still.
        #expect(plan.known == ["Alpha", "Alpha2"])
    }

    @Test func settingsOfTheConfigurationAreToldWhereTheyStand() throws {
        let text = """
            {
              "agents": { "Alpha": { "settings": { "enter": 2, "exit": 3 } } } }
            """
        let manifest = #"{"executable": "run", "settings": {"exit": 1, "window": 5}}"#
        let plan = try #require(try FakeDisk(text, agents: ["Alpha": manifest]).plan().agents.first)
        #expect(
            plan.settingPlaces.mapValues(\.description) == [
                "enter": "/qp/supervisor.json:2:49",
                "exit": "/qp/supervisor.json:2:60",
            ])
        #expect(plan.settingPlaces["enter"]?.keyPath == "agents.Alpha.settings.enter")
    }

    @Test func missingAndUnreadableFiles() {
        var disk = FakeDisk()
        disk.files["/qp/supervisor.json"] = nil
        #expect(
            disk.errors() == [
                "/qp/supervisor.json: it does not exist; create it (an empty {} will do), or name another with --config"
            ])
        for error in [ConfigurationSourceError.notPermitted, .isDirectory, .tooLarge, .other("I/O error")] {
            disk.unreadable["/qp/supervisor.json"] = error
            #expect(disk.isFatal && disk.errors().count == 1)
        }
    }

    @Test func errorsOfAllFilesComeAtOnce() {
        let disk = FakeDisk(
            #"{"lgos": {}, "agents": {"A": {"nice": 1}}}"#,
            agents: ["A": #"{"executable": "gone"}"#, "B": "{", "C": #"{"executable": "run", "rol": "x"}"#])
        let errors = disk.errors()
        #expect(errors.count == 5, "\(errors)")
        #expect(errors[0].contains("did you mean \"logs\"?"))
        #expect(errors[1].contains("agents.A.nice: unknown key"))
        #expect(errors[2].contains("there is no program at /qp/agents/A/gone nor /qp/bin/gone"))
        #expect(errors[3].contains("/qp/agents/B/agent.json:1:2"))
        #expect(errors[4].contains("did you mean \"role\"?"))
    }

    @Test func aRunDirectoryTooDeepForSockets() throws {
        let deepest = "/" + String(repeating: "d", count: 93)
        #expect(!FakeDisk(#"{"runDirectory": "\#(deepest)"}"#).isFatal)
        let disk = FakeDisk(#"{"runDirectory": "\#(deepest)x"}"#)
        #expect(disk.isFatal)
        #expect(disk.errors()[0].contains("runDirectory: sockets in \(deepest)x would have paths of 108 bytes"))
        #expect(disk.errors()[0].contains("at most 94 bytes"))
    }

    // MARK: Layers

    @Test func defaultsManifestAndOverrideMergeKeyByKey() throws {
        let supervisor = #"""
            {"defaults": {"limits": {"memory": "64M", "files": 100, "nice": 5}, "restart": {"maxMs": 500},
                          "environment": {"A": "default", "B": "default"}},
             "agents": {"X": {"limits": {"memory": "128M", "nice": null}, "enabled": false, "settings": {"b": 2},
                              "arguments": ["-q"]}}}
            """#
        let manifest = #"""
            {"executable": "run", "limits": {"memory": "32M", "cpu": 1}, "arguments": ["-v", "-w"],
             "settings": {"a": 1, "b": 1}, "environment": {"B": "manifest"}}
            """#
        let plan = try #require(FakeDisk(supervisor, agents: ["X": manifest]).plan()["X"])
        #expect(plan.manifest.limits.memory?.description == "128M")
        #expect(plan.manifest.limits.cpu == 1 && plan.manifest.limits.files == 100 && plan.manifest.limits.nice == nil)
        #expect(plan.manifest.restart.maxMs == 500)
        #expect(plan.manifest.arguments == ["-q"])
        #expect(plan.manifest.settings.text == #"{"a":1,"b":2}"#)
        #expect(plan.manifest.environment == ["A": "default", "B": "manifest"])
        #expect(!plan.manifest.enabled && !plan.startsWithFleet && plan.errors.isEmpty)
    }

    @Test func anOverrideFollowsTheManifestsName() throws {
        let disk = FakeDisk(
            #"{"agents": {"Real": {"limits": {"nice": 3}}}}"#, agents: ["f": #"{"name": "Real", "executable": "run"}"#])
        #expect(try disk.plan()["Real"]?.manifest.limits.nice == 3)
    }

    @Test func cloudAgentsAreNotStartedHere() throws {
        let plan = try FakeDisk(agents: ["A": #"{"executable": "run", "locality": "cloud"}"#]).plan()
        #expect(plan["A"]?.startsWithFleet == false && plan["A"]?.errors.isEmpty == true)
        #expect(plan.graph.agents.map(\.startsWithFleet) == [false])
    }

    @Test func aDisabledEntryMayNameAnAgentThatIsNotHere() throws {
        #expect(try FakeDisk(#"{"agents": {"Gone": {"enabled": false}}}"#).plan().agents.isEmpty)
    }

    // MARK: Drop-ins

    @Test func aLoneExecutableIsAnAgent() throws {
        var disk = FakeDisk(#"{"agents": {"hello.sh": {"limits": {"nice": 1}}}}"#)
        disk.executables.insert("/qp/agents/hello.sh")
        let agent = try #require(disk.plan()["hello.sh"])
        #expect(agent.executablePath == "/qp/agents/hello.sh")
        #expect(agent.manifest.readiness == .exec && agent.manifest.inputs.isEmpty && agent.manifestFile == nil)
        #expect(agent.folder == "/qp/agents" && agent.manifest.limits.nice == 1)
    }

    @Test func whatIsNoAgentIsLeftAlone() throws {
        var disk = FakeDisk()
        disk.files["/qp/agents/README.md"] = "text"
        disk.files["/qp/agents/notes/todo.txt"] = "a folder without agent.json"
        for name in [".hidden", "run~", "run.tmp", "run.part", "run.swp", "run.bak"] {
            disk.executables.insert("/qp/agents/\(name)")
        }
        #expect(try disk.plan().agents.isEmpty)
    }

    @Test func aProgramWithoutPermissionIsNamed() throws {
        var disk = FakeDisk()
        disk.files["/qp/agents/hello.sh"] = "#!/bin/sh"
        disk.answers["/qp/agents/hello.sh"] = .notExecutable
        #expect(
            disk.errors() == [
                "/qp/agents/hello.sh: /qp/agents/hello.sh may not be executed; chmod +x /qp/agents/hello.sh"
            ])
    }

    @Test func executablesAreFoundInTheFolderThenBesideTheSupervisor() throws {
        var disk = FakeDisk(agents: [
            "Own": #"{"executable": "tool"}"#, "Sub": #"{"executable": "./bin/../tool"}"#, "Beside": run,
            "Absolute": #"{"executable": "/bin/sh"}"#, "Folder": #"{"executable": "run"}"#,
            "Missing": #"{"executable": "sub/run"}"#, "Wrong": #"{"executable": "wrong"}"#,
            "Forbidden": #"{"executable": "forbidden"}"#,
        ])
        disk.executables.formUnion(["/qp/agents/Own/tool", "/qp/agents/Sub/tool", "/bin/sh"])
        disk.answers["/qp/agents/Folder/run"] = .isDirectory
        disk.answers["/qp/agents/Wrong/wrong"] = .wrongFormat("a program for aarch64")
        disk.answers["/qp/agents/Forbidden/forbidden"] = .notExecutable
        let plan = try disk.plan()
        #expect(plan["Own"]?.executablePath == "/qp/agents/Own/tool")
        #expect(plan["Sub"]?.executablePath == "/qp/agents/Sub/tool")
        #expect(plan["Beside"]?.executablePath == "/qp/bin/run" && plan["Folder"]?.executablePath == "/qp/bin/run")
        #expect(plan["Absolute"]?.executablePath == "/bin/sh")
        // A path is never looked up beside the supervisor, and nothing is in $PATH.
        #expect(
            plan["Missing"]?.errors.map(\.description) == [
                "/qp/agents/Missing/agent.json:1:16: executable: there is no program at /qp/agents/Missing/sub/run; "
                    + "build it or correct \"executable\" ($PATH is never searched)"
            ])
        #expect(plan["Wrong"]?.errors.first?.problem.contains("a program for aarch64") == true)
        #expect(plan["Forbidden"]?.errors.first?.remedy == "chmod +x /qp/agents/Forbidden/forbidden")
        #expect(plan.agents.filter(\.startsWithFleet).count == 5)
    }

    @Test func twoAgentsOfOneName() {
        let disk = FakeDisk(agents: ["A": run, "B": #"{"name": "A", "executable": "run"}"#])
        #expect(disk.isFatal)
        #expect(disk.errors()[0].contains("two agents are called A"))
    }

    @Test func aFolderWhoseNameIsNoName() throws {
        #expect(FakeDisk(agents: ["my agent": run]).errors()[0].contains("\"my agent\" can't be an agent's name"))
        #expect(FakeDisk(agents: ["my agent": #"{"name": "Mine", "executable": "run"}"#]).errors().isEmpty)
    }

    // MARK: Pipelines

    @Test func membersOfPipelines() throws {
        let supervisor = #"""
            {"pipelines": {"a": {"agents": ["C", "A"], "strategy": "one_for_all"}, "rest": {"intensity": {"restarts": 2}}}}
            """#
        let pipelines = try FakeDisk(supervisor, agents: ["A": run, "B": run, "C": run]).plan().configuration.pipelines
        #expect(pipelines.map(\.name) == ["a", "rest"])
        #expect(pipelines[0].members == ["A", "C"] && pipelines[0].strategy == .oneForAll)
        #expect(pipelines[1].members == ["B"] && pipelines[1].intensity.restarts == 2)
    }

    @Test func groupsThatAreRestartedTogetherCannotOverlap() {
        let supervisor = #"{"pipelines": {"a": {"agents": ["A"], "strategy": "one_for_all"}, "b": {"agents": ["A"]}}}"#
        let errors = FakeDisk(supervisor, agents: ["A": run]).errors()
        #expect(errors.count == 1 && errors[0].contains("A belongs to the pipelines a and b"), "\(errors)")
    }

    @Test func theRunDirectoryAlone() throws {
        func directory(_ text: String) throws -> String {
            try SupervisorConfiguration.runDirectory(in: Array(text.utf8), file: "/x/supervisor.json").get()
        }
        #expect(try directory("{}") == "/x/run")
        #expect(try directory(#"{"runDirectory": "/tmp/r", "nonsense": 1}"#) == "/tmp/r")
        #expect(throws: ConfigurationErrors.self) { try directory("{") }
        #expect(throws: ConfigurationErrors.self) { try directory(#"{"runDirectory": 1}"#) }
    }
}
