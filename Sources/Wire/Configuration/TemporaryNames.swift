/// Names that editors, browsers and copying programs give to files that are not finished or not meant: never agents, and
/// nothing to wake up for.
public enum TemporaryNames {
    /// Backups and half-written files of editors, patch, browsers, curl and FTP clients.
    static let suffixes = [
        "~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".swp", ".swx", ".bak",
        ".orig",
        ".rej", ".new", ".dpkg-tmp", ".dpkg-new",
    ]

    /// Hidden ones too: rsync's `.name.XXXXXX`, vim's `.name.swp`, emacs' `.#name`, NFS' `.nfs…`. `4913` is the file by
    /// which vim finds out whether it may write in a folder.
    public static func contains(_ name: some StringProtocol) -> Bool {
        name.isEmpty || name.hasPrefix(".") || name == "4913" || (name.hasPrefix("#") && name.hasSuffix("#"))
            || suffixes.contains { name.hasSuffix($0) }
    }
}
