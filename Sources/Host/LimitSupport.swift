import CLinux
import Foundation

/// What a look at this machine's control groups found, before anything is decided: a value, so that a test can be any
/// machine.
struct CgroupFindings: Equatable {
    enum Finding: Equatable {
        /// A limit was written in a group of ours, and a process could enter it.
        case usable
        case unusable(String)
    }

    /// By controller of the unified hierarchy, and by that of a v1 hierarchy. Missing: not mounted.
    var unified: [CgroupController: Finding] = [:]
    var legacy: [CgroupController: Finding] = [:]
}

/// By what each kind of limit is enforced here. Decided once, when the supervisor starts.
struct LimitSupport: Equatable {
    enum Backend: Equatable {
        case unified
        case legacy
        /// Neither; why.
        case none(String)
    }

    /// Who makes empty networks.
    enum Network: Equatable {
        /// The supervisor, ahead of time.
        case namespace
        /// The agent's own process, in a user namespace: nobody here is root.
        case userNamespace
        case none(String)
    }

    var memory: Backend
    var cpu: Backend
    var processes: Backend
    var network: Network
    /// May raise hard limits (CAP_SYS_RESOURCE, which a container's root often lacks).
    var mayRaiseLimits: Bool
    /// May become another user (CAP_SETUID and CAP_SETGID).
    var mayChangeUser: Bool

    init(_ findings: CgroupFindings, network: Network, mayRaiseLimits: Bool, mayChangeUser: Bool) {
        memory = Self.backend(.memory, findings)
        cpu = Self.backend(.cpu, findings)
        processes = Self.backend(.pids, findings)
        self.network = network
        self.mayRaiseLimits = mayRaiseLimits
        self.mayChangeUser = mayChangeUser
    }

    func backend(_ controller: CgroupController) -> Backend {
        switch controller {
        case .memory: memory
        case .cpu: cpu
        case .pids: processes
        case .freezer: .none("not a limit")
        }
    }

    /// The unified hierarchy before v1: a controller is in one of them only, and what v2 limits it limits as a whole.
    private static func backend(_ controller: CgroupController, _ findings: CgroupFindings) -> Backend {
        if findings.unified[controller] == .usable { return .unified }
        if findings.legacy[controller] == .usable { return .legacy }
        // v1 has it, and something is wrong there: that is the nearer reason.
        if case .unusable(let reason) = findings.legacy[controller] { return .none(reason) }
        if case .unusable(let reason) = findings.unified[controller] { return .none(reason) }
        return .none("no control groups are mounted")
    }

    /// This machine's, as this process may use it.
    static func ofThisProcess(_ findings: CgroupFindings) -> LimitSupport {
        let (setGroup, setUser, raise) = (6, 7, 24)
        let held = capabilities()
        return LimitSupport(
            findings, network: network(), mayRaiseLimits: held >> raise & 1 == 1,
            mayChangeUser: held >> setGroup & held >> setUser & 1 == 1)
    }

    /// The effective set, by the numbers of capabilities(7).
    private static func capabilities() -> UInt64 {
        guard let bytes = readSmallFile("/proc/self/status"),
            let line = bytes.split(separator: 10).first(where: { $0.starts(with: "CapEff:".utf8) })
        else { return 0 }
        let digits = String(decoding: line.dropFirst(7), as: UTF8.self).trimmingCharacters(in: .whitespaces)
        return UInt64(digits, radix: 16) ?? 0
    }

    /// Tried, not guessed.
    private static func network() -> Network {
        let namespace = qp_make_network_namespace()
        if namespace >= 0 {
            close(namespace)
            return .namespace
        }
        let code = qp_can_unshare_network()
        return code == 0 ? .userNamespace : .none("the kernel refuses a network namespace: \(PosixError.reason(code))")
    }
}
