import Glibc

@testable import Journal

/// fork(2), which Swift hides: the child only appends and ends, and keeps nothing open but stdio and `report`. Whatever
/// other tests of this process are writing at that moment must not stay open for writing: programs would stay "busy".
func forkAlone(keeping report: Int32) -> pid_t {
    let child = forkProcess()
    if child == 0 {
        closeRange(3, UInt32(report) - 1, 0)
        closeRange(UInt32(report) + 1, .max, 0)
    }
    return child
}

/// Does here, once, what a child is going to do. What the runtime makes at its first use, it makes under locks; one that
/// another thread holds at the moment of a fork is never let go of in the child.
func rehearseChild() throws {
    let scratch = Scratch()
    let options = JournalOptions(segmentBytes: 16 << 10, maxTotalBytes: 1 << 30)
    func writer(_ epoch: UInt64) throws(JournalError) -> JournalWriter {
        try JournalWriter(directory: scratch.path + "/journal", identity: "NeuralArb", epoch: epoch, options: options)
    }
    let first = try writer(1)
    while try first.append("a record of some length \(first.lastSequence)") < 1_000 {}
    let second = try writer(2)
    try second.append("of 2")
    do throws(JournalError) {
        try first.append("late")
    } catch {
        guard case .fenced = error else { throw error }
    }
}

@_silgen_name("fork") private func forkProcess() -> pid_t
@discardableResult
@_silgen_name("close_range") private func closeRange(_ first: UInt32, _ last: UInt32, _ flags: Int32) -> Int32
