/// An entry of the agents directory that is no agent and looks as if it were meant to be one.
public struct OverlookedEntry: Sendable, Hashable, CustomStringConvertible {
    /// Name in the agents directory.
    public var name: String
    public var path: String
    public var problem: String
    public var remedy: String

    public var description: String { "\(path) is no agent: \(problem); \(remedy)" }

    /// A regular file that may not be executed and does not begin like a program; nil: obviously nothing of ours.
    static func file(_ name: String, at path: String) -> OverlookedEntry? {
        guard !TemporaryNames.contains(name) else { return nil }
        let interpreter: String
        if let suffix = suffix(of: name) {
            guard let known = interpreters[suffix] else { return nil }
            interpreter = known
        } else {
            guard !documents.contains(name.lowercased()) else { return nil }
            interpreter = "/bin/sh"
        }
        return OverlookedEntry(
            name: name, path: path, problem: "it may not be executed, and does not begin like a program",
            remedy: "if it is meant to be one, let its first line name what runs it (such as #!\(interpreter)), then "
                + "`chmod +x \(path)`")
    }

    /// A folder without a manifest.
    ///
    /// - Parameter programs: names of the regular files in it that may be executed.
    static func folder(_ name: String, at path: String, programs: [String]) -> OverlookedEntry? {
        let candidates = programs.filter { !isForeign($0) }.sorted()
        guard !TemporaryNames.contains(name), let program = candidates.first else { return nil }
        return OverlookedEntry(
            name: name, path: path, problem: "it holds the program \(program) and no agent.json",
            remedy: "if it is meant to be one, write \(path)/agent.json with at least "
                + "{ \"executable\": \"\(program)\" }")
    }

    /// Whatever its permissions say (files from other systems may all be executed): no program.
    private static func isForeign(_ name: String) -> Bool {
        if TemporaryNames.contains(name) { return true }
        guard let suffix = suffix(of: name) else { return documents.contains(name.lowercased()) }
        return data.contains(suffix) || name.contains(".so.")
    }

    /// `py` of `bot.py`; nil where there is none.
    private static func suffix(of name: String) -> String? {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
        return name[name.index(after: dot)...].lowercased()
    }

    /// What runs a script, by its suffix.
    private static let interpreters = [
        "sh": "/bin/sh", "bash": "/bin/bash", "zsh": "/usr/bin/env zsh", "py": "/usr/bin/env python3",
        "rb": "/usr/bin/env ruby", "pl": "/usr/bin/env perl", "js": "/usr/bin/env node", "mjs": "/usr/bin/env node",
        "cjs": "/usr/bin/env node", "lua": "/usr/bin/env lua", "php": "/usr/bin/env php", "r": "/usr/bin/env Rscript",
        "jl": "/usr/bin/env julia", "tcl": "/usr/bin/env tclsh", "exs": "/usr/bin/env elixir",
    ]

    /// Files without a suffix that every project has.
    private static let documents: Set<String> = [
        "readme", "license", "licence", "copying", "notice", "authors", "contributors", "changelog", "changes", "news",
        "install", "todo", "makefile", "gnumakefile", "dockerfile", "containerfile", "procfile", "justfile", "gemfile",
        "rakefile", "vagrantfile", "jenkinsfile", "codeowners", "version",
    ]

    private static let data: Set<String> = [
        "md", "markdown", "rst", "txt", "pdf", "html", "htm", "css", "svg", "png", "jpg", "jpeg", "gif",
        "json", "jsonl", "yaml", "yml", "toml", "ini", "cfg", "conf", "env", "xml", "lock", "proto", "sql",
        "csv", "tsv", "psv", "parquet", "npy", "npz", "onnx", "pt", "bin", "db", "sqlite", "gz", "xz", "zst", "zip",
        "tar",
        "log", "pid", "out", "swift", "c", "h", "cc", "cpp", "hpp", "m", "rs", "go", "java", "kt", "cs", "ts",
        "o", "a", "so", "dylib", "dll", "class", "jar", "pyc", "pyi", "ipynb", "service", "desktop",
    ]
}
