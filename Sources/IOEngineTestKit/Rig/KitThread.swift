internal import Glibc
internal import IOEngineCore

/// A thread of the kit's own, waited for with a limit: a driver that is wrong may wait for ever.
final class KitThread: Sendable {
    private let isDone = IOWakeGate()

    /// Starts `body`. It runs to its end, or for ever.
    init(_ body: @escaping @Sendable () -> Void) throws {
        let isDone = self.isDone
        let box = unsafe Unmanaged.passRetained(
            Box {
                body()
                isDone.wake()
            })
        var thread = pthread_t()
        let answer = unsafe pthread_create(
            &thread, nil,
            { box in
                if let box = unsafe box {
                    unsafe Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body()
                }
                return nil
            }, box.toOpaque())
        guard answer == 0 else {
            unsafe box.release()
            throw ContractEnd.skipped("no thread could be made: errno \(answer)")
        }
        pthread_detach(thread)
    }

    /// Waits for the end. False: it did not come in time. Once only.
    func finish(seconds: Int) -> Bool {
        isDone.wait(until: .monotonic().advanced(by: .seconds(seconds))) == .woken
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// CPU time of the calling thread, in nanoseconds.
    static var processorTime: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
