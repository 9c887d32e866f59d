import CLinux
import Foundation

/// The supervisor holds pipes and sockets for every agent, so it raises its own soft limit; agents get back the one it
/// was started with, because programs that use select(2) break above 1,024.
struct OpenFilesLimit {
    /// What agents get unless their manifest says otherwise.
    var soft: UInt64
    var hard: UInt64

    /// Tells the program that takes our place what the soft limit was: the raised one is what it finds.
    static let variable = "QP_SOFT_OPEN_FILES"

    static func raise() -> OpenFilesLimit {
        let handedDown = getenv(variable).flatMap { UInt64(String(cString: $0)) }
        unsetenv(variable)
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return OpenFilesLimit(soft: 1024, hard: 1024) }
        let hard = UInt64(limit.rlim_max)
        let inherited = OpenFilesLimit(soft: min(handedDown ?? UInt64(limit.rlim_cur), hard), hard: hard)
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(resource, &limit)
        closeStrangers(above: limit.rlim_cur)
        return inherited
    }

    /// Descriptors that whoever started us left open beyond the limit: Foundation starts nothing while there are such (EBADF).
    private static func closeStrangers(above limit: rlim_t) {
        let ours = Set(Handover.numbers)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        for number in names.compactMap({ Int32($0) }) where UInt64(number) >= limit && !ours.contains(number) {
            close(number)
        }
    }
}
