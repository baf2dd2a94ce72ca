internal import CLinux
internal import Glibc
internal import SystemPackage

/// Runs other programs: the tools that make and mount file systems, and the tests' own helper.
public enum Command {
    /// How a program ended.
    public struct End: Sendable, CustomStringConvertible {
        /// The exit status, or 128 plus the number of the signal that killed it.
        public var status: Int32
        /// What it wrote to standard output and standard error.
        public var output: String

        public var description: String { "status \(status), output: \(output)" }
    }

    /// Runs a program that is looked up in the path, and waits for its end.
    @discardableResult
    public static func run(_ arguments: [String]) -> End {
        var ends: (Int32, Int32) = (-1, -1)
        let made = unsafe withUnsafeMutableBytes(of: &ends) { bytes in
            unsafe CLinux.pipe2(
                bytes.assumingMemoryBound(to: Int32.self).baseAddress.unsafelyUnwrapped,
                Glibc.O_CLOEXEC)
        }
        guard made == 0 else { return End(status: 127, output: "pipe: errno \(errno)") }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends.1, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends.1, 2)
        var process: pid_t = 0
        var words = unsafe arguments.map { unsafe strdup($0) } + [nil]
        // Swift's threads block signals, and whoever started the tests may ignore some.
        var attributes = posix_spawnattr_t()
        var signals = sigset_t()
        unsafe posix_spawnattr_init(&attributes)
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let answer = unsafe posix_spawnp(
            &process, arguments[0], &actions, &attributes, &words, Glibc.environ)
        unsafe posix_spawn_file_actions_destroy(&actions)
        unsafe posix_spawnattr_destroy(&attributes)
        for i in unsafe words.indices { unsafe free(words[i]) }
        Glibc.close(ends.1)
        let output = readAll(ends.0)
        Glibc.close(ends.0)
        guard answer == 0 else {
            return End(status: 127, output: "cannot run \(arguments[0]): errno \(answer)")
        }
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        return End(status: signal == 0 ? (status >> 8) & 0xff : 128 + signal, output: output)
    }

    private static func readAll(_ descriptor: Int32) -> String {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe Glibc.read(descriptor, &part, part.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return String(decoding: all, as: UTF8.self) }
            all += part[..<count]
        }
    }

    /// For `env`: the options of AddressSanitizer that hold here, and more. Without the sanitizer
    /// nobody reads them.
    public static func sanitizerOptions(_ more: String) -> String {
        let here = unsafe Glibc.getenv("ASAN_OPTIONS").map { unsafe String(cString: $0) + ":" }
        return "ASAN_OPTIONS=" + (here ?? "") + more
    }

    /// Whether a program is to be had, looked for in the usual places.
    public static func exists(_ name: String) -> Bool {
        ["/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"].contains { folder in
            unsafe Glibc.access(folder + name, Glibc.X_OK) == 0
        }
    }

    /// Before a program and its arguments: runs it as a user who may do nothing special.
    public static let asNobody = [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
        "--inh-caps=-all",
    ]

    /// Runs one of the helper's scenarios as such a user, with a file that he may use.
    public static func runAsNobody(_ scenario: String) throws -> End {
        let path = TemporaryFolder.newPath("nobody")
        _ = try openNew(path)
        guard unsafe chmod(path, 0o666) == 0 else { throw Errno(rawValue: errno) }
        return run(asNobody + [helper, scenario, path])
    }

    /// The helper program of the tests.
    public static var helper: String { program("TestHelper") }

    /// A program of this package, which lies beside the program that runs the tests.
    public static func program(_ name: String) -> String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = unsafe Glibc.readlink("/proc/self/exe", &path, path.count)
        let own = String(
            decoding: path[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
        return folder + "/" + name
    }
}
