import IOEngineAIO
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// What the kernel grants, and what the driver makes of it.
@Suite struct SetUpTests {
    @Test("settings that make no sense are refused in a sentence")
    func settings() throws {
        for depth in [0, -1, 65_537] {
            let error = #expect(throws: IOError.self) {
                _ = try makeDriver(depth: depth).capabilities
            }
            #expect(error?.errno == .invalidArgument)
            #expect(error?.advice.contains("65536") == true)
        }
        for configuration in [
            AIOConfiguration(contextSize: 0), AIOConfiguration(helperThreads: 0),
            AIOConfiguration(helperThreads: 5000),
        ] {
            let error = #expect(throws: IOError.self) {
                _ = try makeDriver(depth: 4, configuration).capabilities
            }
            #expect(error?.errno == .invalidArgument)
        }
    }

    @Test("capabilities say how it was set up and what may still block")
    func capabilities() throws {
        let capabilities = try makeDriver(depth: 7).capabilities
        #expect(capabilities.name == "aio" && capabilities.depth == 7)
        #expect(capabilities.maximumVectors == 1024)
        #expect(capabilities.actions == Set(IOAction.allCases))
        #expect(capabilities.setUp.contains("context of 8 for depth 7"))
        #expect(capabilities.setUp.contains("reaped in user space"))
        #expect(capabilities.mayBlockCaller.contains { $0.contains("frozen") })
        let other = try makeDriver(depth: 7, .init(contextSize: 2, reapsInUserSpace: false))
            .capabilities
        #expect(other.setUp.contains("context of 3 for depth 7"))
        #expect(other.setUp.contains("io_getevents"))
    }

    @Test(
        "with fs.aio-max-nr used up, the error names it, and afterwards all is well",
        .enabled(if: AIOLimit.mayBeChanged, AIOLimit.whyNot))
    func exhausted() throws {
        let error = try AIOLimit.changed(to: 0, beyondUsed: false) {
            #expect(throws: IOError.self) { _ = try AIODriver(depth: 4).capabilities }
        }
        guard let error else { return }
        #expect(error?.errno == .resourceTemporarilyUnavailable)
        #expect(error?.advice.contains("fs.aio-max-nr") == true)
        #expect(error?.advice.contains(" of fs.aio-max-nr 0") == true, "\(error?.advice ?? "")")
        let setUp = try makeDriver(depth: 4).capabilities.setUp
        #expect(setUp.contains("context of 5"))
    }

    @Test(
        "with little of fs.aio-max-nr left, a smaller context serves the whole depth",
        .enabled(if: AIOLimit.mayBeChanged, AIOLimit.whyNot))
    func ladder() throws {
        // Far more than other tests may give up in between.
        let depth = 4096
        let file = try fileWith(pattern(4096))
        var made: AIODriver?
        var error: IOError?
        for _ in 0..<50 where made == nil {
            do {
                made = try AIOLimit.changed(to: 20) { try AIODriver(depth: depth) }
                if made == nil { return }
            } catch let refusal as IOError where refusal.errno == .resourceTemporarilyUnavailable {
                // Another process took the rest.
                error = refusal
            }
        }
        guard var driver = made.take() else { throw try #require(error) }
        let setUp = driver.capabilities.setUp
        #expect(setUp.hasPrefix("context of \(depth + 1): refused, fs.aio-nr is"), "\(setUp)")
        #expect(driver.capabilities.depth == depth)
        for slot in 0..<depth {
            try driver.mustStage(
                .plain(slot % 3 == 0 ? .syncFull : .syncData, UInt32(slot), file.rawValue))
        }
        let full = driver.stage(.plain(.syncFull, 0, file.rawValue))
        #expect(full == .full)
        let results = try driver.finish(depth)
        #expect(results.count == depth && results.values.allSatisfy { $0 == 0 })
    }

    @Test(
        "contexts given up a moment ago are waited for",
        .enabled(if: AIOLimit.mayBeChanged, AIOLimit.whyNot))
    func givenUp() throws {
        let size = 256
        let made = try AIOLimit.changed(to: size + 40) {
            // Each needs the room of the one before, whose end takes milliseconds.
            for _ in 0..<5 {
                let setUp = try AIODriver(depth: size).capabilities.setUp
                #expect(setUp.hasPrefix("context of \(size + 1)"), "\(setUp)")
            }
            return true
        }
        if made == nil { return }
    }
}
