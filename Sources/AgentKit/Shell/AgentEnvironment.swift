import Delivery
import FoundationEssentials
import Glibc
import Journal
import Wire

/// What the supervisor tells an agent through its environment (DESIGN: contract 5.3).
struct AgentEnvironment {
    var name: String
    var incarnation: UInt64
    /// `<run>/agents/<Name>`; nil without a supervisor.
    var stateDirectory: String?
    var wiring: Wiring
    var settings: [String: SettingValue]
    var notifySocket: String?
    /// Half of it is how often the loop reports; nil: nobody watches.
    var watchdog: Nanoseconds?
    /// The supervisor link (`QP_LINK`); nil: there is none.
    var link: String?
    /// How long to work on without a supervisor (`QP_DEADMAN_USEC`); nil: for ever.
    var deadMan: Nanoseconds?
    /// Bytes that it may use (`QP_MEMORY_LIMIT`); nil: as many as there are.
    var memoryLimit: Int?
    /// nil without a supervisor.
    var role: AgentRole?
    /// The keys of the order path (`QP_KEYS_FD`); nil: this agent gets none.
    var keysDescriptor: Int32?
    var arguments: [String]
    var all: [String: String]
    /// Sizes of a durable agent's journal, and the bounds of its wires; the standard ones but in tests.
    var journalBytes = (segment: JournalLimits.segmentBytes, total: JournalLimits.maxTotalBytes)
    var deliveryLimits = DeliveryLimits.standard

    /// For a shell without a supervisor.
    init(name: String, incarnation: UInt64 = 1, wiring: Wiring, stateDirectory: String? = nil) {
        self.name = name
        self.incarnation = incarnation
        self.stateDirectory = stateDirectory
        self.wiring = wiring
        settings = [:]
        arguments = []
        all = [:]
    }

    init(_ environment: [String: String], arguments: [String]) throws {
        guard let name = environment["QP_AGENT"], let wiringText = environment["QP_WIRING"] else {
            throw AgentFailure(
                "this is an agent: a supervisor starts it (QP_AGENT and QP_WIRING are not set). Run `supervisor`, with "
                    + "this executable in its agents directory")
        }
        self.name = name
        incarnation = UInt64(environment["QP_INCARNATION"] ?? "") ?? 1
        stateDirectory = environment["QP_RUN_DIR"].map { "\($0)/agents/\(name)" }
        do {
            wiring = try Wiring(json: wiringText)
        } catch {
            throw AgentFailure(
                "QP_WIRING does not decode (\(error)): supervisor and agent are of different builds; rebuild both")
        }
        settings = try Self.settings(environment["QP_SETTINGS"])
        notifySocket = environment["NOTIFY_SOCKET"]
        watchdog = environment["WATCHDOG_USEC"].flatMap { Int64($0) }.map { Nanoseconds.microseconds($0) }
        link = environment["QP_LINK"]
        deadMan = environment["QP_DEADMAN_USEC"].flatMap { Int64($0) }.map { Nanoseconds.microseconds($0) }
        memoryLimit = environment["QP_MEMORY_LIMIT"].flatMap { Int($0) }
        role = environment["QP_ROLE"].flatMap(AgentRole.init)
        keysDescriptor = environment["QP_KEYS_FD"].flatMap { Int32($0) }
        self.arguments = arguments
        all = environment
    }

    /// Ports as the registry wants them.
    func registry() throws -> PortRegistry {
        func ports(_ direction: Wiring.Direction) throws -> [PortRegistry.Port] {
            try wiring.ports.filter { $0.value.direction == direction }.map { name, port in
                guard let type = PayloadType(name: port.type) else {
                    throw AgentFailure(
                        "port '\(name)' carries '\(port.type)', which this build does not know; rebuild the agent")
                }
                return PortRegistry.Port(name, type)
            }
        }
        return PortRegistry(inputs: try ports(.input), outputs: try ports(.output))
    }

    static func settings(_ text: String?) throws -> [String: SettingValue] {
        guard let text, !text.isEmpty else { return [:] }
        do {
            return try JSONDecoder().decode([String: SettingValue].self, from: Data(text.utf8))
        } catch {
            throw AgentFailure("QP_SETTINGS is no JSON object: \(error)")
        }
    }
}

extension SettingValue: Decodable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let list = try? container.decode([SettingValue].self) {
            self = .list(list)
        } else {
            self = .object(try container.decode([String: SettingValue].self))
        }
    }
}
