import CLinux
import Foundation
import Wire

/// A hash of everything that only a new process can take over; a reload replaces the processes whose hash changed.
enum LaunchFingerprint {
    /// - Parameter stamp: of the program, as it is to count.
    static func of(_ plan: AgentPlan, wiring: Wiring, stamp: ExecutableStamp?) -> UInt64 {
        let manifest = plan.manifest
        var parts = [
            plan.executablePath ?? "", plan.folder, manifest.settings.text, withoutListeners(wiring).json,
            "\(manifest.limits)", "\(manifest.sandbox)",
            manifest.role.rawValue,
            "\(manifest.onSupervisorLoss) \(manifest.deadManMs)",
        ]
        parts += manifest.arguments
        parts += manifest.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        if let stamp { parts.append(stamp.text) }
        return FNV.hash(parts)
    }

    /// Whoever listens to a stream connects to it by itself and is served: a new listener is no reason to replace the
    /// process that is listened to. The join barrier of its next incarnation will know it.
    private static func withoutListeners(_ wiring: Wiring) -> Wiring {
        var wiring = wiring
        for (name, port) in wiring.ports where port.direction == .output && port.delivery == .stream {
            wiring.ports[name]?.peers = []
        }
        return wiring
    }
}

/// FNV-1a, 64 bit (draft-eastlake-fnv).
enum FNV {
    /// The zero between two parts keeps ("a", "b") and ("ab", "") apart.
    static func hash(_ parts: [String]) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for part in parts {
            for byte in part.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            hash = (hash ^ 0) &* 0x100_0000_01B3
        }
        return hash
    }
}
