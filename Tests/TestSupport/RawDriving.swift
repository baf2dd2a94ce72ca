public import IOEngineCore
internal import SystemPackage

/// Memory for requests of a driver without a loop, which must outlive them.
@safe public final class RawMemory {
    public let bytes: UnsafeMutableRawBufferPointer

    public init(_ count: Int, byte: UInt8 = 0) {
        unsafe bytes = .allocate(byteCount: count, alignment: 4096)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: byte)
    }

    deinit { unsafe bytes.deallocate() }

    public subscript(_ place: Int) -> UInt8 {
        get { unsafe bytes[place] }
        set { unsafe bytes[place] = newValue }
    }

    public func fill(with byte: UInt8) {
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: byte)
    }

    /// Whether every byte is this one.
    public func isAll(_ byte: UInt8) -> Bool { unsafe bytes.allSatisfy { $0 == byte } }
}

extension IORequest {
    /// A request of `count` bytes of `memory` from `place` on.
    public init(
        _ action: IOAction, _ slot: UInt32, _ descriptor: Int32, _ memory: RawMemory,
        place: Int = 0, count: Int? = nil, at offset: Int64 = 0, region: Int32 = -1,
        registered: Int32 = -1
    ) {
        self = unsafe IORequest(
            token: IOToken(slot: slot, generation: 1), action: action, descriptor: descriptor,
            address: memory.bytes.baseAddress.unsafelyUnwrapped + place, offset: offset,
            length: count ?? memory.bytes.count, registeredDescriptor: registered,
            registeredRegion: region)
    }

    public static func plain(
        _ action: IOAction, _ slot: UInt32, _ descriptor: Int32 = -1, offset: Int64 = 0,
        length: Int = 0
    ) -> IORequest {
        unsafe IORequest(
            token: IOToken(slot: slot, generation: 1), action: action, descriptor: descriptor,
            offset: offset, length: length)
    }
}

extension IODriver where Self: ~Copyable {
    /// What is finished now, at most `most`.
    public mutating func finished(most: Int = 64) -> [IOCompletion] {
        let memory = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: most)
        defer { unsafe memory.deallocate() }
        var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
        reap(into: &span)
        let count = unsafe span.finalize(for: memory)
        return unsafe Array(memory[..<count])
    }

    /// Submits and waits until `count` requests are finished; results by slot.
    public mutating func finish(_ count: Int) throws -> [UInt32: Int] {
        var results: [UInt32: Int] = [:]
        // Each wait is bounded, so a lost completion fails the test instead of stopping it.
        let deadline = now().advanced(by: .seconds(20))
        while results.count < count {
            switch submit(minimum: count - results.count, deadline: deadline) {
            case .ready, .woken: break
            case .deadlinePassed: throw Errno.timedOut
            case .failed(let errno): throw Errno(rawValue: errno)
            }
            for completion in finished() {
                if results.updateValue(completion.result, forKey: completion.token.slot) != nil {
                    throw TwiceFinished()
                }
            }
        }
        return results
    }

    /// Whether a wait for one more completion lasts until its deadline, as it does when nothing finishes
    /// and nobody wakes.
    ///
    /// - Parameter signals: How many times it may end early. A signal does that, and the kernel sends some
    ///   of its own when a ring that was made on this thread before goes away.
    public mutating func waitsInVain(milliseconds: Int, forgiving signals: inout Int) -> Bool {
        while true {
            let deadline = now().advanced(by: .milliseconds(milliseconds))
            switch submit(minimum: 1, deadline: deadline) {
            case .ready where signals > 0: signals -= 1
            case .deadlinePassed: return now() >= deadline
            case .ready, .woken, .failed: return false
            }
        }
    }

    /// Wakes before waiting: the first wait ends at once, all wake-ups become one, and the next wait lasts.
    /// A signal may end that one early, but not each time.
    public mutating func wakeUpsBecomeOne() -> Bool {
        let waker = waker
        for _ in 0..<3 {
            for _ in 0..<5 { waker.wake() }
            let soon = now().advanced(by: .seconds(20))
            guard submit(minimum: 1, deadline: soon) == .woken, finished().isEmpty else {
                return false
            }
            var none = 0
            if waitsInVain(milliseconds: 2, forgiving: &none) { return true }
        }
        return false
    }

    /// Stages what must find room.
    public mutating func mustStage(_ request: IORequest) throws {
        if stage(request) != .queued { throw Errno.noBufferSpace }
    }
}

/// A request was answered twice.
public struct TwiceFinished: Error {}

/// A file with these bytes.
public func fileWith(
    _ bytes: [UInt8], at path: String = TemporaryFolder.newPath("raw")
) throws -> IODescriptor {
    let file = try openNew(path)
    // The number alone does not keep the file open.
    return try withExtendedLifetime(file) {
        _ = try file.fileDescriptor.writeAll(bytes)
        return file
    }
}
