import CLinux
import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// The engine's threads, as the system sees them.
@Suite struct ThreadTests {
    @Test("threads have their names, cut to what the kernel keeps")
    func names() throws {
        let file = try newFile()
        var configuration = IOContextConfiguration()
        configuration.name = "a-name-too-long-for-it"
        configuration.workers = try IOWorkers(count: 2, name: "worker-names")
        let context = try TestContext.make(configuration)
        #expect(ThreadList.named("a-name-too-long").count == 1)
        #expect(eventually { ThreadList.named("worker-names").count == 2 })
        try context.give(.sync(file))
        context.shutdown()
    }

    @Test("a name is cut between characters, and its bytes stay as they are")
    func namesOfOtherCharacters() throws {
        var configuration = IOContextConfiguration()
        // The 15th byte is the first of two.
        configuration.name = "schleifengroesß"
        let context = try TestContext.make(configuration)
        #expect(ThreadList.named("schleifengroes").count == 1)
        context.shutdown()
        configuration.name = "größe"
        let other = try TestContext.make(configuration)
        #expect(ThreadList.named("größe").count == 1)
        other.shutdown()
    }

    @Test("the engine's threads take no signal but those of their own faults")
    func signals() throws {
        func mask() -> String? {
            let own = linux_call(Int(SYS_gettid), 0, 0, 0)
            return ThreadList.all.first { $0.number == own }?.status("SigBlk")
        }
        let before = mask()
        var configuration = IOContextConfiguration()
        configuration.name = "masked-loop"
        configuration.workers = try IOWorkers(count: 2, name: "masked-worker")
        let context = try TestContext.make(configuration)
        #expect(eventually { ThreadList.named("masked-worker").count == 2 })
        var open: UInt64 = 0
        for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGKILL, SIGSTOP] {
            open |= 1 << UInt64(signal - 1)
        }
        // The C library keeps these two for itself (`signal(7)`).
        open |= 1 << 31 | 1 << 32
        let threads = ThreadList.named("masked-loop") + ThreadList.named("masked-worker")
        #expect(threads.count == 3)
        for thread in threads {
            let text = try #require(thread.status("SigBlk"))
            let blocked = try #require(UInt64(text, radix: 16))
            #expect(blocked == ~open, "\(thread.name): \(text)")
        }
        context.shutdown()
        #expect(mask() == before, "the mask of whoever made them is as it was")
    }

    @Test("a loop stays on the processors that it was given")
    func processors() throws {
        let allowed = ThreadList.all.first?.status("Cpus_allowed_list")
        for cpu in 0..<sysconf(Int32(_SC_NPROCESSORS_ONLN)) {
            var configuration = IOContextConfiguration()
            configuration.name = "on-\(cpu)"
            configuration.processors = [cpu]
            let context = try TestContext.make(configuration)
            let thread = try #require(ThreadList.named("on-\(cpu)").first)
            #expect(thread.status("Cpus_allowed_list") == "\(cpu)")
            try context.give(.noOperation())
            context.shutdown()
        }
        var configuration = IOContextConfiguration()
        configuration.name = "nowhere"
        configuration.processors = [9999, -1]
        let context = try TestContext.make(configuration)
        let thread = try #require(ThreadList.named("nowhere").first)
        #expect(
            thread.status("Cpus_allowed_list") == allowed,
            "where there is no such processor, it runs where it may")
        context.shutdown()
    }
}
