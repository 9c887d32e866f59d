import Foundation
import Wire

/// One spelling of a folder, however it was reached: what a supervisor left under a path is found again by its successor
/// through a link.
public enum CanonicalPath {
    /// The path without links; as it is given where that would be too long for a socket in it (sun_path has 107 bytes:
    /// a short link is a way around that), or where it can't be told.
    ///
    /// - Parameter room: bytes of the longest socket's name in it.
    public static func of(_ path: String, leavingRoomFor room: Int) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        let real = String(cString: resolved)
        return real.utf8.count + room <= Limits.maxSocketPathBytes ? real : path
    }

    /// A file's path by its folder's one spelling. The file itself may be a link: what it names relatively, it names
    /// relatively to where it stands.
    public static func ofFile(_ path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        let room = "/run".utf8.count + max(SocketPath.suffixBytes, "/control.sock".utf8.count)
        let name = (path as NSString).lastPathComponent
        return (of(folder, leavingRoomFor: room) as NSString).appendingPathComponent(name)
    }
}
