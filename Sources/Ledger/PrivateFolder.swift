import Glibc

/// The folder of the ledger: for its owner alone.
enum PrivateFolder {
    static func make(_ path: String) throws(LedgerError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw .database(file: path, reason: "can't be made: \(String(cString: strerror(errno)))")
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func rename(_ path: String, to target: String) throws(LedgerError) {
        guard Glibc.rename(path, target) == 0 else {
            throw .database(file: target, reason: "can't be replaced: \(String(cString: strerror(errno)))")
        }
    }

    /// A file and what SQLite keeps beside it.
    static func removeDatabase(_ path: String) {
        for suffix in ["", "-journal", "-wal", "-shm"] { unlink(path + suffix) }
    }
}
