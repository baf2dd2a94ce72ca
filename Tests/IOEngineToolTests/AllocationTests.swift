import Foundation
import Testing

/// After set-up, an IO allocates nothing: counted by a library that is loaded before the C library and
/// counts calls of malloc and its kin. Two runs of different length must allocate the same.
///
/// Only optimised code is free of allocations (unspecialised generics box what they move), so the tool to
/// measure is named by `IOENGINE_RELEASE_TOOL`, a path; without it these tests skip themselves.
@Suite(.serialized) struct AllocationTests {
    static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    static let tool = ProcessInfo.processInfo.environment["IOENGINE_RELEASE_TOOL"]

    /// Prints the count to standard error when the process ends.
    static let source = """
        #include <stddef.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
        extern void *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
        static unsigned long count;
        #define COUNT() __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED)
        void *malloc(size_t n) { COUNT(); return __libc_malloc(n); }
        void *calloc(size_t n, size_t m) { COUNT(); return __libc_calloc(n, m); }
        void *realloc(void *p, size_t n) { COUNT(); return __libc_realloc(p, n); }
        void *memalign(size_t a, size_t n) { COUNT(); return __libc_memalign(a, n); }
        void *aligned_alloc(size_t a, size_t n) { COUNT(); return __libc_memalign(a, n); }
        int posix_memalign(void **p, size_t a, size_t n) {
            COUNT(); *p = __libc_memalign(a, n); return *p ? 0 : 12;
        }
        __attribute__((destructor)) static void report(void) {
            char line[64];
            int length = snprintf(line, sizeof line, "allocations: %lu\\n", count);
            if (write(2, line, length)) {}
        }
        """

    @Test(
        .enabled(if: compiler != nil, "needs a C compiler to count allocations with"),
        .enabled(
            if: tool != nil, "IOENGINE_RELEASE_TOOL does not name a tool built with -c release"),
        arguments: [
            ["--rw", "randread"], ["--rw", "write"], ["--rw", "randread", "--registered"],
            ["--rw", "randread", "--driver", "aio"], ["--mode", "context"],
            ["--mode", "context", "--submitters", "1"], ["--mode", "context", "--workers", "1"],
            ["--mode", "context", "--submitters", "2", "--workers", "1"],
            ["--mode", "context", "--driver", "aio"],
            ["--rw", "read", "--merge", "128k"], ["--rw", "write", "--merge", "128k"],
            ["--rw", "randrw", "--merge", "128k"],
            ["--rw", "read", "--driver", "aio", "--merge", "128k"],
            ["--rw", "read", "--mode", "context", "--merge", "128k"],
        ])
    func anIOAllocatesNothing(_ options: [String]) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("ioengine-allocations-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let library = folder.appendingPathComponent("count.so").path
        let code = folder.appendingPathComponent("count.c")
        try Self.source.write(to: code, atomically: true, encoding: .utf8)
        let compiled = try run(
            Self.compiler ?? "", ["-shared", "-fPIC", "-O1", "-o", library, code.path], [:], folder)
        try #require(compiled.status == 0, "\(compiled.error)")

        func measure(_ seconds: String) throws -> (allocations: Int, operations: Double) {
            let result = try run(
                try #require(Self.tool),
                [
                    "bench", "--size", "64m", "--runtime", seconds, "--gtod-reduce",
                    "--output-format", "json",
                ] + options, ["LD_PRELOAD": library], folder)
            try #require(result.status == 0, "\(result.error)")
            let line = try #require(
                result.error.split(separator: "\n").first { $0.hasPrefix("allocations: ") })
            let count = try #require(Int(line.dropFirst("allocations: ".count)))
            let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            let rate = try #require((json as? [String: Any])?["iops"] as? Double)
            return (count, rate * (Double(seconds) ?? 0))
        }
        let short = try measure("0.1")
        let long = try measure("0.6")
        print("allocations \(options): \(short) and \(long)")
        #expect(long.operations > short.operations + 1000)
        // The reports' numbers differ in length, which may cost a few.
        #expect(abs(long.allocations - short.allocations) < 50)
    }

    func run(
        _ program: String, _ arguments: [String], _ environment: [String: String], _ folder: URL
    ) throws -> (status: Int32, output: String, error: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = Pipe()
        let error = Pipe()
        process.standardOutput = output
        process.standardError = error
        try process.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        let complained = error.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (
            process.terminationStatus, String(decoding: printed, as: UTF8.self),
            String(decoding: complained, as: UTF8.self)
        )
    }
}
