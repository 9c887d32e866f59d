import Glibc
import Journal
import Testing
import Wire

@testable import Authority

@Suite struct KeyringFileTests {
    private static let now = Instant.zero + .seconds(100)

    private static func reason(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func isMadeWithAFirstKeyAndKept() throws {
        try Scratch.with { path in
            let first = try KeyringFile(path: path, at: Self.now)
            #expect(first.currentKeyID == 1)
            var info = stat()
            #expect(stat(path, &info) == 0)
            #expect(info.st_mode & 0o777 == 0o600)
            let reader = try Keyring(mapping: first.readOnlyDescriptor)
            let approval = try #require(reader.sign(Sample.decision(), at: Self.now))
            // Another supervisor takes over: the same key signs, what was signed before is good.
            let second = try KeyringFile(path: path, at: Self.now + .seconds(1))
            #expect(second.currentKeyID == 1)
            let other = try Keyring(mapping: second.readOnlyDescriptor)
            #expect(other.check(Sample.order(approval), at: Self.now + .seconds(1)) == .valid)
        }
    }

    @Test func keysOfAnotherBootAreErased() throws {
        try Scratch.with { path in
            let before = try KeyringFile(path: path, at: Self.now, bootID: BootID(high: 1, low: 1))
            let reader = try Keyring(mapping: before.readOnlyDescriptor)
            let approval = try #require(reader.sign(Sample.decision(validSeconds: 200), at: Self.now))
            // The clock begins anew, so the approval's end would seem to lie far ahead.
            let after = try KeyringFile(path: path, at: .zero + .seconds(1), bootID: BootID(high: 2, low: 2))
            #expect(after.currentKeyID == 2)
            let other = try Keyring(mapping: after.readOnlyDescriptor)
            #expect(other.check(Sample.order(approval), at: .zero + .seconds(1)) == .unknownKey)
        }
    }

    @Test func aFileThatOthersCouldReadIsRefused() throws {
        for mode in [0o640, 0o604, 0o660, 0o666, 0o601] as [mode_t] {
            try Scratch.with { path in
                _ = try KeyringFile(path: path, at: Self.now)
                chmod(path, mode)
                let reason = Self.reason { _ = try KeyringFile(path: path, at: Self.now) }
                #expect(reason.contains(path) && reason.contains("open to other users"), "\(reason)")
                #expect(reason.contains("remove it"), "\(reason)")
            }
        }
    }

    @Test func linksAndOtherThingsAreRefused() throws {
        try Scratch.with { path in
            _ = try KeyringFile(path: path + ".real", at: Self.now)
            symlink(path + ".real", path)
            #expect(Self.reason { _ = try KeyringFile(path: path, at: Self.now) }.contains("symbolic link"))
            unlink(path)
            link(path + ".real", path)
            #expect(Self.reason { _ = try KeyringFile(path: path, at: Self.now) }.contains("links: 2"))
            unlink(path)
            mkdir(path, 0o700)
            #expect(!Self.reason { _ = try KeyringFile(path: path, at: Self.now) }.isEmpty)
            rmdir(path)
            unlink(path + ".real")
        }
    }

    @Test func filesThatAreNoKeyringAreRefusedAndLeftAlone() throws {
        for content in [[], [UInt8](repeating: 1, count: 100), [UInt8](repeating: 0, count: 4_096)] as [[UInt8]] {
            try Scratch.with { path in
                try Scratch.write(content, to: path)
                let reason = Self.reason { _ = try KeyringFile(path: path, at: Self.now) }
                #expect(reason.contains(path) && reason.contains("remove it"), "\(reason)")
                #expect(try Scratch.read(path) == content)
            }
        }
    }

    /// Every prefix of a file that a full disk or a crash may have left is refused, never used.
    @Test func leftOversOfACrashDoNotMatter() throws {
        try Scratch.with { path in
            try Scratch.write([1, 2, 3], to: path + ".new")
            let file = try KeyringFile(path: path, at: Self.now)
            #expect(file.currentKeyID == 1)
            #expect(access(path + ".new", F_OK) == -1)
        }
    }

    @Test func agentsCanReadThePageAndNotWriteIt() throws {
        try Scratch.with { path in
            let file = try KeyringFile(path: path, at: Self.now)
            let descriptor = file.readOnlyDescriptor
            let writable = mmap(nil, 4_096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            #expect(writable == MAP_FAILED && errno == EACCES)
            var byte: UInt8 = 0
            #expect(pwrite(descriptor, &byte, 1, 0) == -1)
        }
    }

    @Test func anErasedKeyIsGoneFromTheFile() throws {
        try Scratch.with { path in
            let file = try KeyringFile(path: path, at: Self.now)
            let key = Array(try Scratch.read(path)[96..<128])
            #expect(key.contains { $0 != 0 })
            file.rotate(at: Self.now + .seconds(1))
            file.rotate(at: Self.now + .seconds(2) + KeyRotation.grace)
            let content = try Scratch.read(path)
            #expect(!(0...(content.count - key.count)).contains { Array(content[$0..<($0 + key.count)]) == key })
        }
    }

    @Test func twoKeysAreNeverTheSame() throws {
        var seen: Set<[UInt8]> = []
        for _ in 0..<20 {
            try Scratch.with { path in
                _ = try KeyringFile(path: path, at: Self.now)
                #expect(seen.insert(Array(try Scratch.read(path)[96..<128])).inserted)
            }
        }
    }
}
