import Foundation
import IOEngineCopy
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// Whatever goes wrong, there is the old file or the new one or none, and nothing else.
struct CopyFailureTests {
    /// How the work is done, and whether something has the name before.
    struct Way: CustomTestStringConvertible, Sendable {
        var named: Bool
        var replaces: Bool
        var direct: Bool

        static let all = [false, true].flatMap { named in
            [false, true].flatMap { replaces in
                (hasDirectIO ? [false, true] : [false]).map {
                    Way(named: named, replaces: replaces, direct: $0)
                }
            }
        }

        private static let hasDirectIO: Bool = {
            guard let directory = try? Directory(),
                (try? Files.write("x", to: directory.path("x"))) != nil,
                (try? IODescriptor.open(
                    FilePath(directory.path("x")), .readOnly, direct: true)) != nil
            else {
                print("skipped: failures with direct IO, which temporary files do not have here")
                return false
            }
            return true
        }()

        var testDescription: String {
            "\(named ? "named" : "nameless")\(replaces ? ", replacing" : "")"
                + "\(direct ? ", direct" : "")"
        }
    }

    private func fixture(_ way: Way, size: Int = 100_000) throws -> CopyFixture {
        var random = SeededRandom(seed: 1)
        var fixture = try CopyFixture()
        try Files.make(fixture.source, size: size, using: &random)
        if way.replaces { try Files.write("old", to: fixture.destination) }
        fixture.plan.avoidsNamelessFiles = way.named
        fixture.plan.direct = way.direct
        fixture.plan.depth = 2
        return fixture
    }

    private func expectNothingHappened(
        _ fixture: CopyFixture, _ way: Way, _ note: Comment? = nil,
        at place: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try fixture.others == (way.replaces ? ["copy"] : []), note, sourceLocation: place)
        if way.replaces {
            let text = try Files.text(of: fixture.destination)
            #expect(text == "old", note, sourceLocation: place)
        }
    }

    @Test(arguments: Way.all)
    func interruptedAtEveryStep(_ way: Way) throws {
        let fixture = try fixture(way)
        var steps = 0
        var hooks = HookedDriver.Hooks()
        // Beyond the last step of the copy nobody interrupts, and it is complete.
        for step in 0..<1000 {
            let interruption = CopyInterruption()
            var isReached = false
            hooks.onSubmit = {
                if $0 == step {
                    interruption.interrupt()
                    isReached = true
                }
            }
            do {
                try fixture.run(hooks, interruption: interruption)
                #expect(!isReached, "step \(step)")
                #expect(Files.areEqual(fixture.source, fixture.destination))
                #expect(try fixture.others == ["copy"])
                break
            } catch let error as CopyError {
                #expect(error.isInterruption && isReached, "step \(step): \(error)")
                try expectNothingHappened(fixture, way, "step \(step)")
                steps += 1
            }
        }
        // Seven reads, two at a time, as many writes, and the sync.
        #expect(steps >= 9, "\(steps) steps")
    }

    @Test func interruptedBeforeItBegins() throws {
        let way = Way(named: false, replaces: true, direct: false)
        let fixture = try fixture(way)
        let interruption = CopyInterruption()
        interruption.interrupt()
        let error = #expect(throws: CopyError.self) {
            try fixture.run(interruption: interruption)
        }
        #expect(error?.isInterruption == true)
        try expectNothingHappened(fixture, way)
    }

    /// Which request fails, how, and a word of the sentence.
    static let faults: [(IOAction, Int32, String)] = [
        (.read, EIO, "cannot be read"), (.write, EIO, "cannot be written"),
        (.write, ENOSPC, "is full"), (.syncFull, EIO, "cannot be made durable"),
        (.syncFull, ENOSPC, "is full"), (.write, EDQUOT, "quota"),
    ]

    @Test(arguments: Way.all)
    func aFailedIOLeavesNothing(_ way: Way) throws {
        let fixture = try fixture(way)
        for (action, errno, word) in Self.faults {
            // The first, one in the middle, the last.
            for offset in action == .syncFull ? [0] : [0, 49_152, 98_304] {
                var hooks = HookedDriver.Hooks()
                hooks.answer = { request in
                    request.action == action && request.offset == Int64(offset)
                        ? -Int(errno) : nil
                }
                let error = #expect(throws: CopyError.self) { try fixture.run(hooks) }
                let sentence = error?.sentence ?? ""
                #expect(sentence.contains(word), "\(sentence)")
                #expect(error?.isInterruption == false)
                #expect(
                    sentence.contains(action == .read ? fixture.source : fixture.destination),
                    "\(sentence)")
                if action != .syncFull { #expect(sentence.contains("offset \(offset)")) }
                try expectNothingHappened(fixture, way, "\(action) at \(offset)")
            }
        }
    }

    @Test(arguments: Way.all)
    func aDriverThatCannotBeMadeLeavesNothing(_ way: Way) throws {
        let fixture = try fixture(way)
        let error = #expect(throws: CopyError.self) {
            try CopyRunner.run(fixture.plan) { _ throws(IOError) -> HookedDriver in
                throw IOError(operation: .setUp, errno: .noFunction, advice: "there is none")
            }
        }
        #expect(error?.sentence.contains("there is none") == true)
        try expectNothingHappened(fixture, way)
    }

    /// What somebody does to the source.
    enum Change: CaseIterable, Sendable {
        case shrinks, growsABit, growsALot, isOverwritten, isEmptied

        func make(_ path: String, size: Int) throws {
            let file = try FileDescriptor.open(FilePath(path), .readWrite)
            defer { try? file.close() }
            switch self {
            case .shrinks: try file.resize(to: Int64(size - 1))
            case .growsABit: try file.resize(to: Int64(size + 1))
            case .growsALot: try file.resize(to: Int64(size + 1_000_000))
            case .isOverwritten: _ = try file.writeAll(toAbsoluteOffset: 3, [1, 2, 3])
            case .isEmptied: try file.resize(to: 0)
            }
        }
    }

    @Test(arguments: Change.allCases, Way.all)
    func aSourceThatChangesIsAnError(_ change: Change, _ way: Way) throws {
        for step in [0, 1, 3] {
            let fixture = try fixture(way)
            let source = fixture.source
            // So that a change in the same instant shows as well.
            let old = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
            #expect(unsafe utimensat(AT_FDCWD, source, old, 0) == 0)
            var hooks = HookedDriver.Hooks()
            hooks.onSubmit = { if $0 == step { try? change.make(source, size: 100_000) } }
            let error = #expect(throws: CopyError.self) { try fixture.run(hooks) }
            let sentence = error?.sentence ?? ""
            #expect(sentence.contains("changed while it was copied"), "\(sentence)")
            #expect(sentence.contains(source))
            try expectNothingHappened(fixture, way, "step \(step)")
        }
    }

    @Test func abandonedItHasNoNameAnyMore() throws {
        // On the second signal, the process does not wait for the copy.
        var fixture = try fixture(Way(named: true, replaces: false, direct: false))
        fixture.plan.existing = .kept
        let interruption = CopyInterruption()
        let directory = fixture.directory
        var seen: [[String]] = []
        var hooks = HookedDriver.Hooks()
        hooks.onSubmit = {
            guard $0 == 2 else { return }
            seen.append((try? directory.contents.sorted()) ?? [])
            interruption.abandon()
            seen.append((try? directory.contents.sorted()) ?? [])
        }
        #expect(throws: CopyError.self) { try fixture.run(hooks, interruption: interruption) }
        #expect(seen.first?.count == 2, "a hidden name and the source")
        #expect(seen.last == ["source"])
        #expect(try fixture.others.isEmpty)
    }
}
