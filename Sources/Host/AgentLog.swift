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
        let spoolPath: String
        private(set) var reader: Descriptor
        /// Made at the first output.
        var spool: LogSpool?
        var splitter = LineSplitter()
        var source: EventLoop.Source?
        /// What is read at the moment is dropped.
        var flood: LogFlood?
        /// Not read before then: a flood is let in by the cup.
        var pause: EventLoop.Timer?

        init(stream: LogLine.Stream, path: String, spoolPath: String) throws {
            self.stream = stream
            self.path = path
            self.spoolPath = spoolPath
            reader = try Self.open(path)
        }

        /// After `source` was removed.
        func renew() throws {
            reader = try Self.open(path)
            spool = nil
        }

        private static func open(_ path: String) throws -> Descriptor {
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
            return try Descriptor.open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW)
        }
    }

    let agent: String
    private let loop: EventLoop
    private let file: LogFile
    private let output: Channel
    private let error: Channel
    private var budget: LogBudget
    private var remembered: [(incarnation: UInt64, text: [UInt8])] = []
    /// One that began under another supervisor: of what it wrote before, only the file knows.
    private var inherited: UInt64?
    /// Whose output is read at the moment.
    private(set) var incarnation: UInt64 = 0
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
        output = try Channel(
            stream: .stdout, path: "\(directory)/out.fifo", spoolPath: "\(directory)/out.spool")
        error = try Channel(stream: .stderr, path: "\(directory)/err.fifo", spoolPath: "\(directory)/err.spool")
        file.willEmpty = { [unowned self] in
            for channel in [output, error] { channel.spool?.confirm() }
        }
        for channel in [output, error] {
            try listen(to: channel)
            if access(channel.spoolPath, F_OK) == 0 { resume(channel) }
        }
    }

    private func listen(to channel: Channel) throws {
        channel.source = try loop.add(channel.reader.raw, .readable) { [weak self, unowned channel] _ in
            self?.drain(channel, atMost: Self.bytesPerTurn)
        }
    }

    /// Makes pipes anew whose names are gone; only while the agent does not run.
    func renewPipes() throws {
        drainAll()
        for channel in [output, error] {
            if let source = channel.source { loop.remove(source) }
            channel.source = nil
            if let pause = channel.pause { loop.cancel(pause) }
            channel.pause = nil
            try channel.renew()
            try listen(to: channel)
        }
    }

    /// The two ends an agent gets as descriptors 1 and 2.
    func openWriters() throws -> (output: Descriptor, error: Descriptor) {
        // Read and write for the agent too: without any reader left its writes would fail, now they wait.
        (try Descriptor.open(output.path, O_RDWR | O_NOFOLLOW), try Descriptor.open(error.path, O_RDWR | O_NOFOLLOW))
    }

    /// Both pipes, borrowed: what they hold stays as long as somebody has them open.
    func withPipes(_ body: (_ output: Int32, _ error: Int32) -> Void) {
        if output.reader.isOpen, error.reader.isOpen { body(output.reader.raw, error.reader.raw) }
    }

    var filePath: String { file.path }
    /// Lines not written down: what the disk did not take, and what went beyond the budget.
    var droppedLines: Int { file.dropped + floodedLines }
    private var floodedLines = 0
    private var hasToldFlood = false

    /// - Parameter isInherited: another supervisor began it.
    func begin(incarnation: UInt64, isInherited: Bool = false) {
        self.incarnation = incarnation
        if isInherited { inherited = incarnation }
        hasToldFlood = false
        for channel in [output, error] { channel.spool?.begin(incarnation: incarnation) }
    }

    /// A line of the supervisor's own about this agent, or about an incarnation of it that may be over.
    func note(_ text: String, of incarnation: UInt64? = nil) {
        deliver([LineSplitter.Line(bytes: Array(text.utf8), continues: false)], .supervisor, of: incarnation)
    }

    /// Takes everything the agent left in its pipes, also a last line without a newline.
    func drainAll() {
        for channel in [output, error] {
            // A pipe holds at most 1 MiB; a survivor that goes on writing must not hold us here.
            drain(channel, atMost: 1 << 20)
            if let flood = channel.flood { end(flood, of: channel) }
            var lines: [LineSplitter.Line] = []
            channel.splitter.flush(into: &lines)
            deliver(lines, of: channel)
        }
    }

    /// Takes what waits; a line that is not complete yet stays in the spool, for a program that takes our place.
    func takeWaiting() {
        for channel in [output, error] {
            drain(channel, atMost: 1 << 20)
            if let flood = channel.flood { end(flood, of: channel) }
        }
    }

    /// The pipes, for a program that takes our place.
    var handles: [Int32] { [output.reader, error.reader].filter(\.isOpen).map(\.raw) }

    /// The last lines that an incarnation wrote, oldest first; none of another, however little this one said.
    func lastLines(_ count: Int, of incarnation: UInt64) -> [String] {
        let own = remembered.filter { $0.incarnation == incarnation }.suffix(count)
            .map { String(decoding: $0.text, as: UTF8.self) }
        guard own.count < count, incarnation == inherited else { return own }
        // In the file these come after what was written before.
        let kept = LogFile.tail(path: file.path, lines: Self.rememberedLines, maxBytes: Self.tailBytes)
            .map { LogRecord.parse($0, agent: agent) }
            .filter { $0.incarnation.map(UInt64.init) == incarnation && $0.stream != .supervisor }
        return kept.count > own.count ? kept.suffix(count).map(\.text) : own
    }

    /// Read of the file for an incarnation's last lines.
    private static let tailBytes = 64 << 10

    /// Forgets the pipes; they are removed when `removing`.
    func close(removing: Bool) {
        for channel in [output, error] {
            if let source = channel.source { loop.remove(source) }
            if let pause = channel.pause { loop.cancel(pause) }
            channel.source = nil
            channel.reader.close()
            if removing { unlink(channel.path) }
            if removing { channel.spool?.remove() }
        }
    }

    private func drain(_ channel: Channel, atMost limit: Int) {
        guard channel.reader.isOpen else { return }
        var taken = 0
        while taken < limit {
            guard let count = takeSome(from: channel), count > 0 else { break }
            taken += count
            if count < scratch.bytes.count { break }
        }
        if channel.flood != nil { pause(channel) }
    }

    /// One piece of what waits in the pipe. By the spool, so that it outlives us; not what is dropped anyway, and not when the
    /// disk takes no more.
    private func takeSome(from channel: Channel) -> Int? {
        if channel.flood == nil, let spool = spool(of: channel) {
            if let moved = spool.take(from: channel.reader.raw, atMost: scratch.bytes.count) {
                if moved > 0 { takeSpooled(from: channel) }
                return moved
            }
        }
        let count = retryingInterrupts { read(channel.reader.raw, &scratch.bytes, scratch.bytes.count) }
        guard count > 0 else { return nil }
        take(scratch.bytes[..<count], from: channel)
        return count
    }

    private func takeSpooled(from channel: Channel) {
        while let spool = channel.spool {
            let count = spool.read(into: &scratch.bytes)
            guard count > 0 else { break }
            take(scratch.bytes[..<count], from: channel)
        }
        if channel.spool?.renewWhenLarge() == false {
            // What it holds is a line's beginning, which the splitter has too.
            channel.spool?.remove()
            channel.spool = nil
        }
    }

    private func spool(of channel: Channel) -> LogSpool? {
        if channel.spool == nil {
            channel.spool = try? LogSpool(path: channel.spoolPath, boot: Self.boot, log: file.paths)
            channel.spool?.begin(incarnation: incarnation)
        }
        return channel.spool
    }

    /// What a predecessor moved out of the pipe and had not written yet.
    private func resume(_ channel: Channel) {
        guard let spool = try? LogSpool(path: channel.spoolPath, boot: Self.boot, log: file.paths) else { return }
        channel.spool = spool
        channel.splitter = LineSplitter(continues: spool.mark.endContinues)
        incarnation = spool.mark.incarnation
        takeSpooled(from: channel)
    }

    /// A spool of another boot means nothing.
    private static let boot = fnv1a64(LifeRecord.Moment.now().boot)

    /// Within the budget it is cut into lines, beyond it only counted.
    private func take(_ bytes: ArraySlice<UInt8>, from channel: Channel) {
        var lines: [LineSplitter.Line] = []
        guard budget.admit(bytes.count, lines: LogFlood.newlines(in: bytes), at: EventLoop.now()) else {
            if channel.flood == nil {
                tellFlood()
                channel.splitter.flush(into: &lines)
                deliver(lines, of: channel)
                channel.flood = LogFlood()
            }
            channel.flood?.add(bytes)
            channel.spool?.settle()
            return
        }
        if let flood = channel.flood { end(flood, of: channel) }
        channel.splitter.feed(bytes, into: &lines)
        deliver(lines, of: channel)
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
        deliver(lines, of: channel)
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

    /// Lines of a channel: each piece that goes to the file in one write is on record first.
    private func deliver(_ lines: [LineSplitter.Line], of channel: Channel) {
        guard let spool = channel.spool, channel.flood == nil else { return deliver(lines, channel.stream) }
        // The spool is as far as the splitter.
        let offset = spool.taken - Int64(channel.splitter.total)
        var rest = lines[...]
        while !rest.isEmpty {
            var bytes = 0
            var count = 0
            for line in rest {
                guard count == 0 || Int64(bytes + line.bytes.count + Self.recordBytes) <= file.maxBytes else { break }
                bytes += line.bytes.count + Self.recordBytes
                count += 1
            }
            let piece = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
            let end = max(spool.mark.end, min(offset + Int64(piece[piece.count - 1].end), spool.taken))
            let continues = rest.isEmpty ? channel.splitter.continues : rest[rest.startIndex].continues
            file.willAppend = { inode, start, stop in
                spool.intend(
                    through: end, continues: continues, at: LogSpool.Place(inode: inode, start: start, end: stop))
            }
            let dropped = file.dropped
            deliver(piece, channel.stream)
            file.willAppend = nil
            if file.dropped > dropped { spool.settle(through: end, continues: continues) }
        }
    }

    /// More than a record takes beside its text.
    private static let recordBytes = 64

    private func deliver(_ lines: [LineSplitter.Line], _ stream: LogLine.Stream, of number: UInt64? = nil) {
        guard !lines.isEmpty else { return }
        let now = Timestamp.now()
        var bytes: [UInt8] = []
        var told: [LogLine] = []
        for line in lines {
            let record = LogRecord(
                at: now, incarnation: number ?? incarnation, stream: stream, continues: line.continues, text: line.bytes
            )
            record.append(to: &bytes)
            if follower != nil { told.append(record.line(agent: agent)) }
        }
        if stream != .supervisor {
            for line in lines.suffix(Self.rememberedLines) {
                remembered.append((number ?? incarnation, Array(line.bytes.prefix(Self.rememberedLineBytes))))
            }
            if remembered.count > Self.rememberedLines {
                remembered.removeFirst(remembered.count - Self.rememberedLines)
            }
        }
        if let trouble = file.write(bytes, lines: lines.count) { complaint(trouble) }
        // Once they are in the file: a follower that has to ask the next supervisor goes on behind what it has seen of it.
        for line in told { follower?(line) }
    }
}
