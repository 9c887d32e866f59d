import CLinux
import Foundation
import Wire

/// Memory to read into.
final class ScratchBuffer {
    /// A pipe's usual capacity.
    fileprivate var bytes = [UInt8](repeating: 0, count: 64 * 1024)
}

/// Everything one agent writes: from its two pipes into its file, its memory and to whoever follows.
///
/// The pipes are named (`<run>/agents/NAME/out.fifo`, `err.fifo`) and outlive every process: both sides hold them open
/// for reading and writing, so the agent never sees EPIPE when the supervisor goes, and the next supervisor finds what
/// was written meanwhile. Belongs to the loop's thread.
final class AgentLog {
    /// Lines kept in memory, for `lastExit.lastLog`.
    static let rememberedLines = 40
    /// Bytes of a remembered line.
    static let rememberedLineBytes = 1024
    /// Bytes taken from one pipe in one go, so that a spammer leaves the others their turn.
    static let bytesPerTurn = 256 * 1024
    /// Between two turns of a pipe whose output is being dropped: 256 KiB every 2 ms are 128 MiB a second.
    static let floodPauseMs: Int64 = 2

    private final class Channel {
        let stream: LogLine.Stream
        let path: String
        let reader: Descriptor
        var splitter = LineSplitter()
        var source: EventLoop.Source?
        /// What is read at the moment is dropped.
        var flood: LogFlood?
        /// Not read before then: a flood is let in by the cup.
        var pause: EventLoop.Timer?

        init(stream: LogLine.Stream, path: String) throws {
            self.stream = stream
            self.path = path
            if mkfifo(path, 0o600) == -1 {
                guard errno == EEXIST else { throw PosixError("mkfifo", path) }
                var info = stat()
                try check(lstat(path, &info), "lstat", path)
                if info.st_mode & S_IFMT != S_IFIFO {
                    try check(unlink(path), "unlink", path)
                    try check(mkfifo(path, 0o600), "mkfifo", path)
                }
            }
            // Read and write: with a writer of our own the pipe never hangs up, and epoll never spins on it.
            reader = try Descriptor.open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW)
        }
    }

    let agent: String
    private let loop: EventLoop
    private let file: LogFile
    private let output: Channel
    private let error: Channel
    private var budget: LogBudget
    private var remembered: [(stream: LogLine.Stream, text: [UInt8])] = []
    private var incarnation: UInt64 = 0
    /// One for all agents: they share the loop's thread, and 200 of their own would be most of the memory.
    private let scratch: ScratchBuffer
    /// Called for each line as it comes; nil while nobody follows.
    var follower: ((LogLine) -> Void)?
    /// Called once when the file stops taking lines.
    var complaint: (String) -> Void = { _ in }

    init(
        agent: String, loop: EventLoop, directory: String, file: LogFile, scratch: ScratchBuffer,
        budget: LogBudget = LogBudget(at: EventLoop.now())
    ) throws {
        self.agent = agent
        self.loop = loop
        self.file = file
        self.scratch = scratch
        self.budget = budget
        output = try Channel(stream: .stdout, path: "\(directory)/out.fifo")
        error = try Channel(stream: .stderr, path: "\(directory)/err.fifo")
        for channel in [output, error] {
            channel.source = try loop.add(channel.reader.raw, .readable) { [weak self, unowned channel] _ in
                self?.drain(channel, atMost: Self.bytesPerTurn)
            }
        }
    }

    /// The two ends an agent gets as descriptors 1 and 2.
    func openWriters() throws -> (output: Descriptor, error: Descriptor) {
        // Read and write for the agent too: without any reader left its writes would fail, now they wait.
        (try Descriptor.open(output.path, O_RDWR), try Descriptor.open(error.path, O_RDWR))
    }

    var filePath: String { file.path }
    /// Lines not written down: what the disk did not take, and what went beyond the budget.
    var droppedLines: Int { file.dropped + floodedLines }
    private var floodedLines = 0
    private var hasToldFlood = false

    func begin(incarnation: UInt64) {
        self.incarnation = incarnation
        hasToldFlood = false
    }

    /// A line of the supervisor's own about this agent.
    func note(_ text: String) {
        deliver([LineSplitter.Line(bytes: Array(text.utf8), continues: false)], .supervisor)
    }

    /// Takes everything the agent left in its pipes, also a last line without a newline.
    func drainAll() {
        for channel in [output, error] {
            // A pipe holds at most 1 MiB; a survivor that goes on writing must not hold us here.
            drain(channel, atMost: 1 << 20)
            if let flood = channel.flood { end(flood, of: channel) }
            var lines: [LineSplitter.Line] = []
            channel.splitter.flush(into: &lines)
            deliver(lines, channel.stream)
        }
    }

    /// Takes what waits; a line that is not complete yet stays in the file as it is.
    func takeWaiting() { drainAll() }

    /// The pipes, for a program that takes our place.
    var handles: [Int32] { [output.reader, error.reader].filter(\.isOpen).map(\.raw) }

    /// The last lines, oldest first.
    func lastLines(_ count: Int) -> [String] {
        remembered.suffix(count).map { String(decoding: $0.text, as: UTF8.self) }
    }

    /// Forgets the pipes; they are removed when `removing`.
    func close(removing: Bool) {
        for channel in [output, error] {
            if let source = channel.source { loop.remove(source) }
            if let pause = channel.pause { loop.cancel(pause) }
            channel.source = nil
            channel.reader.close()
            if removing { unlink(channel.path) }
        }
    }

    private func drain(_ channel: Channel, atMost limit: Int) {
        guard channel.reader.isOpen else { return }
        var lines: [LineSplitter.Line] = []
        var taken = 0
        while taken < limit {
            let count = retryingInterrupts { read(channel.reader.raw, &scratch.bytes, scratch.bytes.count) }
            guard count > 0 else { break }
            take(scratch.bytes[..<count], from: channel, into: &lines)
            taken += count
            if count < scratch.bytes.count { break }
        }
        deliver(lines, channel.stream)
        if channel.flood != nil { pause(channel) }
    }

    /// Within the budget it is cut into lines, beyond it only counted.
    private func take(_ bytes: ArraySlice<UInt8>, from channel: Channel, into lines: inout [LineSplitter.Line]) {
        guard budget.admit(bytes.count, lines: LogFlood.newlines(in: bytes), at: EventLoop.now()) else {
            if channel.flood == nil {
                tellFlood()
                channel.splitter.flush(into: &lines)
                channel.flood = LogFlood()
            }
            channel.flood?.add(bytes)
            return
        }
        if let flood = channel.flood {
            deliver(lines, channel.stream)
            lines = []
            end(flood, of: channel)
        }
        channel.splitter.feed(bytes, into: &lines)
    }

    /// Once for each incarnation; how much it was, the log itself says each time.
    private func tellFlood() {
        guard !hasToldFlood else { return }
        hasToldFlood = true
        complaint(
            "writes more than \(ByteSize(bytes: LogBudget.bytesPerSecond)) a second; lines are dropped and counted in its log"
        )
    }

    private func end(_ flood: LogFlood, of channel: Channel) {
        channel.flood = nil
        floodedLines += flood.lines
        note(flood.text)
        // Its last lines are what a death certificate wants to know.
        var lines: [LineSplitter.Line] = []
        channel.splitter.feed(flood.tail, into: &lines)
        deliver(lines, channel.stream)
    }

    /// Leaves a flooding pipe alone for a moment: the agent waits that long, and the supervisor has a processor left.
    private func pause(_ channel: Channel) {
        guard channel.pause == nil, let source = channel.source else { return }
        try? loop.change(source, [])
        channel.pause = loop.schedule(afterMs: Self.floodPauseMs) { [weak self, unowned channel] in
            channel.pause = nil
            guard self != nil, let source = channel.source else { return }
            try? self?.loop.change(source, .readable)
        }
    }

    private func deliver(_ lines: [LineSplitter.Line], _ stream: LogLine.Stream) {
        guard !lines.isEmpty else { return }
        let now = Timestamp.now()
        var bytes: [UInt8] = []
        for line in lines {
            let record = LogRecord(
                at: now, incarnation: incarnation, stream: stream, continues: line.continues, text: line.bytes)
            record.append(to: &bytes)
            follower?(record.line(agent: agent))
        }
        if stream != .supervisor {
            for line in lines.suffix(Self.rememberedLines) {
                remembered.append((stream, Array(line.bytes.prefix(Self.rememberedLineBytes))))
            }
            if remembered.count > Self.rememberedLines {
                remembered.removeFirst(remembered.count - Self.rememberedLines)
            }
        }
        if let trouble = file.write(bytes, lines: lines.count) { complaint(trouble) }
    }
}
