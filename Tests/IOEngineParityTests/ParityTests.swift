import Glibc
import IOEngineCore
import TestSupport
import Testing

/// Every driver means the same by the same call.
@Suite(.enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
struct ParityTests {
    private static let names = TestFileSystem.available

    @Test(
        "reads: inside, across and behind the end, of holes and of what is only reserved",
        arguments: names)
    func reads(_ name: String) throws {
        for isCold in [false, true] {
            var parity = try Parity(name)
            parity.isCold = isCold
            var steps: [[Step]] = [
                [.allocate(.buffered, .keepSize, 0, 1 << 20)],
                [.allocate(.buffered, .extend, 2 << 20, 65536)],
            ]
            for target in [Target.buffered, .direct, .readOnly] {
                for offset in [0, 4096, 8192, 1 << 20, 2 << 20, 2 << 20 + 65536, 1 << 40] as [Int64]
                {
                    for length in [4096, 8192, 1 << 20] {
                        steps.append([.read(target, offset, length)])
                        steps.append([.read(target, offset, length).with(handsOver: true)])
                    }
                }
            }
            for (offset, length) in [
                (1, 1), (4999, 1), (4999, 2), (5000, 1), (4095, 4097), (123, 4567),
            ] {
                steps.append([.read(.buffered, Int64(offset), length)])
            }
            try parity.compare(steps)
        }
    }

    @Test("the end of a file that no other action touched", arguments: names)
    func endOfFile(_ name: String) throws {
        for isCold in [false, true] {
            var parity = try Parity(name)
            parity.isCold = isCold
            var steps: [[(Step, Int32)]] = []
            for target in Target.files {
                steps += [
                    [(.read(target, 0, 4096), 4096)], [(.read(target, 0, 8192), 5000)],
                    [(.read(target, 4096, 4096), 904)], [(.read(target, 8192, 4096), 0)],
                    [(.read(target, 1 << 40, 4096), 0)],
                    [(.vectored(.readVectored, target, 0, [4096, 4096, 4096]), 5000)],
                ]
            }
            try parity.expect(steps)
        }
    }

    @Test("writes: inside, past the end, into holes, parts of buffers", arguments: names)
    func writes(_ name: String) throws {
        var steps: [[Step]] = []
        for target in [Target.buffered, .direct, .writeOnly] {
            for offset in [0, 4096, 16384, 1 << 20, 40960] as [Int64] {
                for length in [4096, 12288, 256 << 10] {
                    steps.append([.write(target, offset, length)])
                    steps.append([.write(target, offset, length).with(start: 4096)])
                }
            }
            steps.append([.read(.buffered, 0, 1 << 21)])
        }
        for (offset, length) in [(1, 1), (4999, 2), (123_456, 7), (4095, 4097), (3 << 20, 1)] {
            steps.append([.write(.buffered, Int64(offset), length)])
        }
        try Parity(name).compare(steps)
    }

    @Test("lists of buffers, even and uneven", arguments: names)
    func vectored(_ name: String) throws {
        var parity = try Parity(name)
        parity.content = pattern(300_000)
        var steps: [[Step]] = []
        for target in Target.files {
            for parts in [
                [4096], [4096, 8192], [4096, 4096, 4096], Array(repeating: 4096, count: 40),
            ] {
                for offset in [0, 4096, 262_144] as [Int64] {
                    steps.append([.vectored(.readVectored, target, offset, parts)])
                    steps.append([.vectored(.writeVectored, target, offset, parts)])
                    steps.append([.vectored(.readVectored, target, offset, parts)])
                }
            }
        }
        for parts in [[1], [1, 2, 3], [5000, 1, 70000], Array(repeating: 3, count: 1500)] {
            steps.append([.vectored(.readVectored, .buffered, 12345, parts)])
            steps.append([.vectored(.writeVectored, .buffered, 12345, parts)])
        }
        // Direct IO that is not aligned, in one of its parts.
        steps.append([.vectored(.readVectored, .direct, 0, [4096, 100])])
        steps.append([.vectored(.writeVectored, .direct, 0, [4096, 100])])
        steps.append([.vectored(.readVectored, .direct, 0, [])])
        try parity.compare(steps)
    }

    @Test("allocates in every mode", arguments: names)
    func allocates(_ name: String) throws {
        let modes: [IOAllocationMode] = [
            .extend, .keepSize, .punchHole, .zeroRange, .zeroRangeKeepSize,
            IOAllocationMode(rawValue: 0x80), IOAllocationMode(rawValue: 2),
        ]
        var steps: [[Step]] = []
        for target in [Target.buffered, .direct] {
            for mode in modes {
                for (offset, length) in [
                    (0, 4096), (4096, 8192), (1, 100), (4000, 4000), (1 << 20, 65536), (0, 1),
                ] {
                    steps.append([.allocate(target, mode, Int64(offset), length)])
                    steps.append([.read(.buffered, 0, 32768)])
                    steps.append([.write(target, 0, 8192)])
                }
                steps.append([.allocate(target, mode, 0, 0)])
                steps.append([.allocate(target, mode, -1, 4096)])
                steps.append([.allocate(target, mode, .max, 4096)])
                steps.append([.allocate(target, mode, 1 << 62, 4096)])
            }
        }
        try Parity(name).compare(steps)
    }

    @Test("syncs of everything that can be synced, and of what cannot", arguments: names)
    func syncs(_ name: String) throws {
        let targets: [(Target, Int32)] = [
            (.buffered, 0), (.direct, 0), (.readOnly, 0), (.writeOnly, 0), (.appending, 0),
            (.folder, 0), (.missing, -EBADF), (.negative, -EBADF), (.closed, -EBADF),
            (.pipeOut, -EINVAL), (.socket, -EINVAL),
        ]
        try Parity(name).expect(
            targets.flatMap { target, answer in
                [[(Step.sync(target, full: true), answer)], [(.sync(target, full: false), answer)]]
            })
    }

    @Test("wrong targets and wrong arguments: the table of the design", arguments: names)
    func wrongTargets(_ name: String) throws {
        var steps: [[(Step, Int32)]] = []
        let reads: [(Target, Int32)] = [
            (.writeOnly, -EBADF), (.missing, -EBADF), (.negative, -EBADF), (.closed, -EBADF),
            (.folder, -EISDIR), (.pipeOut, -ESPIPE), (.pipeIn, -ESPIPE), (.socket, -ESPIPE),
        ]
        let writes: [(Target, Int32)] = [
            (.readOnly, -EBADF), (.missing, -EBADF), (.negative, -EBADF), (.closed, -EBADF),
            (.folder, -EISDIR), (.pipeOut, -ESPIPE), (.pipeIn, -ESPIPE), (.socket, -ESPIPE),
        ]
        for (target, answer) in reads {
            steps.append([(.read(target), answer)])
            steps.append([(.vectored(.readVectored, target, 0, [4096, 4096]), answer)])
        }
        for (target, answer) in writes {
            steps.append([(.write(target), answer)])
            steps.append([(.vectored(.writeVectored, target, 0, [4096, 4096]), answer)])
            // A folder cannot be opened for writing, and that comes first.
            steps.append([
                (.allocate(target, .extend, 0, 4096), target == .folder ? -EISDIR : answer)
            ])
        }
        for target in Target.files {
            steps += [
                [(.read(target, -1), -EINVAL)], [(.write(target, -1), -EINVAL)],
                [(.read(target, .min), -EINVAL)], [(.read(target, 0, 0), -EINVAL)],
                [(.write(target, 0, 0), -EINVAL)], [(.read(target, .max), -EINVAL)],
                [(.vectored(.readVectored, target, -1, [4096]), -EINVAL)],
            ]
        }
        try Parity(name).expect(steps)
    }

    @Test(
        "misaligned direct IO answers the same, where the file system minds and where not",
        arguments: names)
    func misaligned(_ name: String) throws {
        var steps: [[Step]] = []
        for action in [IOAction.read, .write] {
            for (offset, length, start) in [
                (1, 4096, 0), (512, 4096, 0), (0, 1000, 0), (0, 512, 0), (0, 4096, 1),
                (0, 4096, 512), (100, 100, 100), (4096, 8192, 0),
            ] {
                let step =
                    action == .read
                    ? Step.read(.direct, Int64(offset), length)
                    : Step.write(.direct, Int64(offset), length)
                steps.append([step.with(start: start)])
            }
        }
        try Parity(name).compare(steps)
    }

    @Test("appends, by descriptor and by flag, and the flag that undoes it", arguments: names)
    func appends(_ name: String) throws {
        var parity = try Parity(name)
        parity.content = pattern(8192)
        try parity.compare([
            [.write(.appending, 0, 100)], [.write(.appending, 1 << 30, 3996)],
            [.write(.buffered, 0, 4096).with(flags: .append)],
            [.write(.appendingDirect, 0, 4096)], [.write(.direct, 0, 4096).with(flags: .append)],
            [.write(.appending, 0, 64).with(flags: .noAppend)],
            [.write(.appendingDirect, 4096, 4096).with(flags: .noAppend)],
            [.vectored(.writeVectored, .appending, 0, [1, 2, 3])],
            [.read(.buffered, 0, 65536)], [.read(.appending)],
            [.write(.appending, 0, 1 << 20)], [.read(.buffered, 8192, 1 << 21)],
        ])
    }

    /// Every flag by itself and some together.
    private static let combinations: [IOFlags] = [
        .highPriority, .dataSync, .sync, .noWait, .append, .noAppend, .atomic, .dontCache,
        [.highPriority, .dataSync], [.dataSync, .sync], [.noWait, .dataSync], [.append, .sync],
        [.noWait, .append], [.noWait, .highPriority], [.append, .noAppend], [.dontCache, .noWait],
        IOFlags(rawValue: 1 << 8), IOFlags(rawValue: 1 << 30), IOFlags(rawValue: 1 << 30 | 8),
    ]

    @Test("every flag on reads and writes, direct and not", arguments: names, combinations)
    func flags(_ name: String, flags: IOFlags) throws {
        var parity = try Parity(name)
        parity.content = pattern(65536)
        var steps: [[Step]] = [[.read(.buffered, 0, 65536)]]
        for target in Target.files {
            steps += [
                [.read(target, 0, 4096).with(flags: flags)],
                [.read(target, 0, 65536).with(flags: flags)],
                [.write(target, 0, 4096).with(flags: flags)],
                [.write(target, 8192, 8192).with(flags: flags)],
                [.write(target, 1 << 20, 4096).with(flags: flags)],
            ]
            var vectored = Step.vectored(.readVectored, target, 0, [4096, 8192])
            vectored.flags = flags
            steps.append([vectored])
            vectored = .vectored(.writeVectored, target, 4096, [4096, 8192])
            vectored.flags = flags
            steps.append([vectored])
        }
        try parity.compare(steps)
    }

    @Test(
        "a cold read that must not wait answers EAGAIN", arguments: names.filter { $0 != "tmpfs" })
    func coldNoWait(_ name: String) throws {
        var parity = try Parity(name)
        parity.content = pattern(1 << 20)
        parity.isCold = true
        try parity.expect([[(Step.read(.buffered, 512 << 10).with(flags: .noWait), -EAGAIN)]])
    }

    @Test("priorities: what the kernel knows and what not", arguments: names)
    func priorities(_ name: String) throws {
        var parity = try Parity(name)
        parity.content = pattern(65536)
        var steps: [[(Step, Int32)]] = []
        for target in Target.files {
            for (priority, answer) in [
                (.idle, 4096), (.bestEffort(level: 0), 4096), (.bestEffort(level: 7), 4096),
                (.realTime(level: 3), 4096), (IOPriority(rawValue: 5 << 13), -EINVAL),
                (IOPriority(rawValue: 7 << 13), -EINVAL),
            ] as [(IOPriority, Int32)] {
                steps.append([(Step.read(target).with(priority: priority), answer)])
                steps.append([(Step.write(target).with(priority: priority), answer)])
            }
        }
        try parity.expect(steps)
    }

    @Test("good, bad, good in one batch: two reads and one EBADF", arguments: names)
    func batch(_ name: String) throws {
        try Parity(name).expect([
            [(.read(.buffered), 4096), (.read(.missing), -EBADF), (.read(.direct), 4096)],
            [(.read(.direct), 4096), (.read(.writeOnly), -EBADF), (.read(.buffered), 4096)],
            [
                (.write(.direct), 4096), (.write(.readOnly), -EBADF),
                (.write(.buffered, 4096), 4096),
            ],
            [
                (.read(.direct), 4096), (.read(.folder), -EISDIR), (.read(.pipeOut), -ESPIPE),
                (.read(.direct, 0, 100).with(start: 1), name == "tmpfs" ? 100 : -EINVAL),
                (.sync(.buffered), 0), (.sync(.missing), -EBADF),
                (.allocate(.readOnly, .extend, 0, 1), -EBADF),
                (.allocate(.buffered, .keepSize, 0, 8192), 0), (.read(.buffered), 4096),
            ],
        ])
    }

    @Test("what has no positions is refused as pread does it, and nobody waits for it")
    func withoutPositions() throws {
        var steps: [[(Step, Int32)]] = []
        for target in Target.withoutPositions {
            steps += [
                [(.read(target), -ESPIPE)], [(.write(target), -ESPIPE)],
                [(.read(target, 0, 8), -ESPIPE)], [(.write(target, 8, 8), -ESPIPE)],
                [(.vectored(.readVectored, target, 0, [8, 8]), -ESPIPE)],
                [(.vectored(.writeVectored, target, 0, [8, 8]), -ESPIPE)],
                [(.allocate(target, .extend, 0, 4096), -ESPIPE)],
                [(.sync(target), -EINVAL)], [(.sync(target, full: false), -EINVAL)],
            ]
        }
        try Parity("tmpfs").expect(steps)
    }

    @Test("a descriptor that only names a file is no open file", arguments: names)
    func pathOnly(_ name: String) throws {
        var steps: [[(Step, Int32)]] = []
        for target in [Target.nameOfFile, .nameOfFolder] {
            steps += [
                [(.read(target), -EBADF)], [(.write(target), -EBADF)],
                [(.vectored(.readVectored, target, 0, [8, 8]), -EBADF)],
                [(.allocate(target, .extend, 0, 4096), -EBADF)],
                [(.sync(target), -EBADF)], [(.sync(target, full: false), -EBADF)],
            ]
        }
        try Parity(name).expect(steps)
    }

    @Test("devices, memory, kernel files and files without a name", arguments: names)
    func otherFiles(_ name: String) throws {
        let parity = try Parity(name)
        try parity.expect([
            [(.read(.zeros), 4096)], [(.read(.zeros, 1 << 40, 100), 100)],
            [(.write(.zeros), 4096)], [(.vectored(.readVectored, .zeros, 8, [8, 9]), 17)],
            [(.read(.nothing), 0)], [(.write(.nothing), 4096)],
            [(.vectored(.writeVectored, .nothing, 0, [8, 9]), 17)],
        ])
        for target in [Target.memory, .nameless] {
            try parity.expect([
                [(.read(target), 0)], [(.write(target, 100, 5000), 5000)],
                [(.read(target, 0, 8192), 5100)], [(.read(target, 5100), 0)],
                [(.sync(target), 0)], [(.allocate(target, .extend, 0, 8192), 0)],
                [(.vectored(.readVectored, target, 4096, [1000, 8192]), 4096)],
            ])
        }
        try parity.compare([
            [.read(.procFile, 0, 4096)], [.read(.procFile, 3, 7)], [.read(.procFile, 1 << 20)],
            [.write(.procFile)], [.sync(.procFile)],
            [.read(.sysFile, 0, 4096)], [.read(.sysFile, 0, 1)], [.read(.sysFile, 1 << 20)],
            [.write(.sysFile)], [.sync(.sysFile)], [.sync(.zeros)], [.sync(.nothing)],
            [.allocate(.zeros, .extend, 0, 4096)], [.allocate(.procFile, .extend, 0, 4096)],
        ])
    }
}
