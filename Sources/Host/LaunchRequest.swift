import CLinux
import Foundation

/// Everything `agent-launcher` needs to start one process. A value; nothing happens until `Launcher` sends it.
public struct LaunchRequest: Sendable {
    public struct ResourceLimit: Equatable, Sendable {
        /// RLIMIT_… number.
        public var resource: Int32
        public var soft: UInt64
        public var hard: UInt64

        public init(resource: Int32, soft: UInt64, hard: UInt64) {
            self.resource = resource
            self.soft = soft
            self.hard = hard
        }
    }

    /// Written into the birth.
    public var incarnation: UInt64 = 0
    /// What the process gets when the supervisor is gone; 0: nothing.
    public var orphanSignal: Int32 = 0
    /// How long it may take then before it is killed, ms; 0: it never is.
    public var orphanGraceMs: UInt32 = 0
    /// No agent at work: no successor of the supervisor takes it over, and it dies with the supervisor.
    public var isPassing = false
    /// Absolute path.
    public var executable: String
    /// argv from the program's own name on; never empty.
    public var arguments: [String]
    public var environment: [String: String]
    /// Absolute path.
    public var workingDirectory: String
    public var resourceLimits: [ResourceLimit] = []
    /// -20…19, lower runs earlier; nil: the supervisor's own.
    public var nice: Int32?
    /// -1000…1000, higher is killed earlier when the machine runs out of memory.
    public var oomScoreAdjustment: Int32 = 0
    public var umask: UInt32 = 0o077
    public var noNewPrivileges = true
    /// An empty network namespace of its own making, where the kernel allows it.
    public var emptyNetwork = false
    /// Whom to become, after everything else was applied; only for root.
    public var user: User?

    /// Numbers of a user; no other group stays.
    public struct User: Equatable, Sendable {
        public var uid: UInt32
        public var gid: UInt32
        public var groups: [UInt32]

        public init(uid: UInt32, gid: UInt32, groups: [UInt32]) {
            self.uid = uid
            self.gid = gid
            self.groups = groups
        }
    }

    public init(
        executable: String, arguments: [String], environment: [String: String], workingDirectory: String
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
    }

    /// Why the request can't be sent.
    public enum Invalid: Error, Equatable, CustomStringConvertible {
        case nulByte(in: String)
        case tooLarge(bytes: Int)
        case tooManyDescriptors(Int)
        case tooManyLimits(Int)
        case tooManyGroups(Int)

        public var description: String {
            switch self {
            case .nulByte(let place): "\(place) contains a NUL byte"
            case .tooLarge(let bytes):
                "arguments and environment take \(bytes) bytes, \(QP_LAUNCH_MAX_BYTES) is the limit; shorten them"
            case .tooManyDescriptors(let count):
                "\(count) descriptors to pass, \(QP_LAUNCH_MAX_FDS - 6) is the limit; use fewer bound ports"
            case .tooManyLimits(let count): "\(count) resource limits, \(QP_LAUNCH_MAX_RLIMITS) is the limit"
            case .tooManyGroups(let count):
                "\(count) supplementary groups, \(QP_LAUNCH_MAX_GROUPS) is the limit; use a user with fewer"
            }
        }
    }

    /// The bytes of `struct qp_launch_request` and its strings.
    func encoded(
        id: UInt64, recordsBirth: Bool = false, inherited: Int, joined: Int, joinsNetwork: Bool = false,
        intoCgroup: Bool = false
    ) throws(Invalid) -> [UInt8] {
        // With stdout, stderr, the status pipe, the birth, the network and the cgroup.
        guard inherited + joined + 6 <= QP_LAUNCH_MAX_FDS else { throw .tooManyDescriptors(inherited + joined) }
        guard resourceLimits.count <= QP_LAUNCH_MAX_RLIMITS else { throw .tooManyLimits(resourceLimits.count) }
        let groups = user?.groups ?? []
        guard groups.count <= QP_LAUNCH_MAX_GROUPS else { throw .tooManyGroups(groups.count) }
        var strings: [UInt8] = []
        func append(_ text: String, _ place: String) throws(Invalid) {
            let bytes = text.utf8
            guard !bytes.contains(0) else { throw .nulByte(in: place) }
            strings.append(contentsOf: bytes)
            strings.append(0)
        }
        try append(executable, "executable")
        try append(workingDirectory, "working directory")
        for argument in arguments { try append(argument, "argument") }
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) {
            try append("\(name)=\(value)", "environment \(name)")
        }
        let headSize = MemoryLayout<qp_launch_request>.size
        guard headSize + strings.count <= QP_LAUNCH_MAX_BYTES else {
            throw .tooLarge(bytes: headSize + strings.count)
        }
        var head = qp_launch_request()
        head.magic = UInt32(QP_LAUNCH_MAGIC)
        head.string_bytes = UInt32(strings.count)
        head.id = id
        head.incarnation = incarnation
        head.orphan_signal = orphanSignal
        head.orphan_grace_ms = orphanGraceMs
        head.argc = UInt32(arguments.count)
        head.envc = UInt32(environment.count)
        head.inherit_count = UInt32(inherited)
        head.join_count = UInt32(joined)
        head.flags =
            (noNewPrivileges ? QP_LAUNCH_NO_NEW_PRIVS.rawValue : 0)
            | (emptyNetwork ? QP_LAUNCH_NEW_NETWORK.rawValue : 0)
            | (recordsBirth ? QP_LAUNCH_RECORD_BIRTH.rawValue : 0)
            | (intoCgroup ? QP_LAUNCH_INTO_CGROUP.rawValue : 0)
            | (joinsNetwork ? QP_LAUNCH_JOIN_NETWORK.rawValue : 0)
            | (user != nil ? QP_LAUNCH_SET_USER.rawValue : 0)
            | (nice != nil ? QP_LAUNCH_SET_NICE.rawValue : 0)
            | (isPassing ? QP_LAUNCH_PASSING.rawValue : 0)
        head.umask = umask
        head.nice = nice ?? 0
        head.oom_score_adj = oomScoreAdjustment
        head.rlimit_count = UInt32(resourceLimits.count)
        head.uid = user?.uid ?? 0
        head.gid = user?.gid ?? 0
        head.group_count = UInt32(groups.count)
        withUnsafeMutableBytes(of: &head.groups) { raw in
            let slots = raw.bindMemory(to: UInt32.self)
            for (index, group) in groups.enumerated() { slots[index] = group }
        }
        withUnsafeMutableBytes(of: &head.rlimits) { raw in
            let slots = raw.bindMemory(to: qp_launch_rlimit.self)
            for (index, limit) in resourceLimits.enumerated() {
                slots[index] = qp_launch_rlimit(
                    resource: limit.resource, reserved: 0, soft: limit.soft, hard: limit.hard)
            }
        }
        return withUnsafeBytes(of: head) { Array($0) } + strings
    }
}
