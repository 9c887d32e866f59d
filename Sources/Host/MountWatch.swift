import CLinux
import Foundation

/// Says when something was mounted or unmounted in this mount namespace (proc(5), `/proc/self/mountinfo`), which no other notice
/// tells: what is covered by a mount has not changed. Costs nothing until then. Belongs to the loop's thread.
final class MountWatch {
    private let descriptor: Descriptor
    private let loop: EventLoop
    private var source: EventLoop.Source?

    init(loop: EventLoop, changed: @escaping () -> Void) throws {
        self.loop = loop
        descriptor = try Descriptor.open("/proc/self/mountinfo", O_RDONLY)
        // The kernel tells each change once, and compares with what was last told: nothing is to be read.
        source = try loop.add(descriptor.raw, .urgent) { _ in changed() }
    }

    func close() {
        if let source { loop.remove(source) }
        source = nil
        descriptor.close()
    }
}
