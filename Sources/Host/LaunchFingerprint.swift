import CLinux
import Foundation
import Wire

/// A hash of everything that only a new process can take over; a reload replaces the processes whose hash changed.
enum LaunchFingerprint {
    static func of(_ plan: AgentPlan, wiring: Wiring) -> UInt64 {
        let manifest = plan.manifest
        var parts = [
            plan.executablePath ?? "", plan.folder, manifest.settings.text, wiring.json,
            "\(manifest.limits)", "\(manifest.sandbox)",
            manifest.role.rawValue,
            "\(manifest.onSupervisorLoss) \(manifest.deadManMs)",
        ]
        parts += manifest.arguments
        parts += manifest.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        var info = stat()
        if let path = plan.executablePath, stat(path, &info) == 0 {
            parts.append("\(info.st_dev) \(info.st_ino) \(info.st_size) \(info.st_mtim.tv_sec) \(info.st_mtim.tv_nsec)")
        }
        // FNV-1a, 64 bit (draft-eastlake-fnv). The zero between two parts keeps ("a", "b") and ("ab", "") apart.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for part in parts {
            for byte in part.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            hash = (hash ^ 0) &* 0x100_0000_01B3
        }
        return hash
    }
}
