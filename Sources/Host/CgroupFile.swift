import CLinux
import Foundation

/// The one-line files by which the kernel is told about control groups, and tells.
enum CgroupFile {
    /// How deep groups that an agent made inside its own are followed.
    static let maxDepth = 16

    /// 0, or the errno.
    @discardableResult
    static func write(_ text: String, to path: String) -> Int32 {
        let file = qp_open(path, O_WRONLY, 0)
        guard file >= 0 else { return errno }
        defer { close(file) }
        let bytes = Array(text.utf8)
        return Glibc.write(file, bytes, bytes.count) == bytes.count ? 0 : errno
    }

    static func text(_ path: String) -> String? {
        readSmallFile(path).map { String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines) }
    }

    static func number(_ path: String) -> Int64? { text(path).flatMap { Int64($0) } }

    /// The number behind `key` in a file of "key number" lines.
    static func number(_ key: String, in path: String) -> Int64? {
        guard let bytes = readSmallFile(path) else { return nil }
        for line in bytes.split(separator: 10) {
            guard line.starts(with: key.utf8), line.dropFirst(key.utf8.count).first == 32 else { continue }
            return Int64(String(decoding: line.dropFirst(key.utf8.count + 1), as: UTF8.self))
        }
        return nil
    }

    static func controllers(_ path: String) -> Set<CgroupController> {
        Set((text(path) ?? "").split(separator: " ").compactMap { CgroupController(rawValue: String($0)) })
    }

    /// The processes directly in a group. A zombie is none.
    static func processes(of group: String) -> [pid_t] {
        (readSmallFile("\(group)/cgroup.procs", limit: 8 << 20) ?? []).split(separator: 10)
            .compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }
    }

    /// The group and all below it, the deepest first.
    static func tree(of group: String, depth: Int = 0) -> [String] {
        guard depth < maxDepth, let directory = opendir(group) else { return [group] }
        defer { closedir(directory) }
        var groups: [String] = []
        while let entry = readdir(directory) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { groups += tree(of: "\(group)/\(name)", depth: depth + 1) }
        }
        return groups + [group]
    }

    /// Removes the group and what was made below it; true when it is gone.
    @discardableResult
    static func remove(_ group: String) -> Bool {
        if rmdir(group) == 0 || errno == ENOENT { return true }
        for each in tree(of: group) { rmdir(each) }
        return access(group, F_OK) == -1
    }
}
