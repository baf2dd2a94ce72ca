internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// Finds the largest context that the kernel grants, by doing: each rung makes one and sends the entry
/// through it that wake-ups need.
struct ContextLadder {
    let depth: Int
    let configuration: AIOConfiguration
    let wakeUp: WakeUpDescriptor
    /// What was tried and how it ended, in order.
    private var log: [String] = []
    /// The system call that was made last.
    private var call = "io_setup"

    init(depth: Int, configuration: AIOConfiguration, wakeUp: WakeUpDescriptor) {
        self.depth = depth
        self.configuration = configuration
        self.wakeUp = wakeUp
    }

    var report: String { log.joined(separator: "; ") }

    mutating func climb() throws(IOError) -> AIOContext {
        var size = min(depth, configuration.contextSize ?? depth)
        var hasWaited = false
        while true {
            do throws(AIORefusal) {
                call = "io_setup"
                var context = try AIOContext(
                    size: size, readsRing: configuration.reapsInUserSpace)
                if let refusal = probe(&context) {
                    unsafe ContextGrave.shared.bury(context.handle, isIdle: true)
                    log.append("the poll that wake-ups need: refused with \(name(refusal))")
                    throw AIORefusal(errno: refusal)
                }
                log.append("context of \(size + 1) for depth \(depth)")
                log.append(
                    context.hasRing
                        ? "completions reaped in user space"
                        : "completions reaped with io_getevents")
                return context
            } catch {
                // Contexts that this process gave up may still count.
                if error.errno == EAGAIN, !hasWaited {
                    hasWaited = true
                    if ContextGrave.shared.waitUntilEmpty() { continue }
                }
                if error.errno == EAGAIN, size > 1 {
                    log.append("context of \(size + 1): refused, \(Self.usage)")
                    size /= 2
                    continue
                }
                throw IOError(
                    operation: .setUp, errno: Errno(rawValue: error.errno),
                    advice: advice(error.errno))
            }
        }
    }

    /// Hears a wake-up through the context. Nil, or a positive errno.
    private mutating func probe(_ context: inout AIOContext) -> Int32? {
        call = "io_submit"
        wakeUp.post()
        defer { wakeUp.clear() }
        var entry = AIOEntry(listeningTo: wakeUp.descriptor)
        var event = AIOEvent()
        let answer = unsafe withUnsafeMutablePointer(to: &entry) { entry in
            var entries: UnsafeMutablePointer<AIOEntry>? = unsafe entry
            return unsafe context.submit(&entries, count: 1)
        }
        if answer != 1 { return answer < 0 ? Int32(truncatingIfNeeded: -answer) : EAGAIN }
        call = "io_getevents"
        // It is ready already: a second is ages, and a few interruptions are no failure.
        for _ in 0..<16 {
            let count = unsafe context.wait(
                minimum: 1, most: 1, into: &event, timeout: 1_000_000_000)
            if count == 1 {
                return Int32(truncatingIfNeeded: event.result) & POLLIN != 0 ? nil : EIO
            }
            if count != -EINTR { return count < 0 ? -count : ETIMEDOUT }
        }
        return EINTR
    }

    private func name(_ errno: Int32) -> String { "\(errno) (\(Errno(rawValue: errno)))" }

    /// What the whole system has taken of its limit.
    private static var usage: String {
        "fs.aio-nr is \(setting("aio-nr")) of fs.aio-max-nr \(setting("aio-max-nr"))"
    }

    private static func setting(_ name: String) -> String {
        SmallFile.text("/proc/sys/fs/\(name)") ?? "unknown"
    }

    private func advice(_ errno: Int32) -> String {
        switch errno {
        case EAGAIN:
            "the requests that Linux AIO allows in the whole system are used up (\(Self.usage)); raise "
                + "the sysctl fs.aio-max-nr, or use another driver"
        case ENOSYS:
            "this kernel has no AIO, or a seccomp filter hides it; allow \(call) in the "
                + "container's seccomp profile, or use another driver"
        case EPERM, EACCES:
            "Linux AIO is forbidden here; allow \(call) in the container's seccomp profile, or use "
                + "another driver"
        case ENOMEM: "not enough memory for the context; use a smaller depth"
        default:
            "no set-up of Linux AIO works here; use another driver"
                + (log.isEmpty ? "" : " (\(report))")
        }
    }
}
