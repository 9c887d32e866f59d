import Glibc

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

@_silgen_name("fork") private func forkProcess() -> pid_t
@discardableResult
@_silgen_name("close_range") private func closeRange(_ first: UInt32, _ last: UInt32, _ flags: Int32) -> Int32
