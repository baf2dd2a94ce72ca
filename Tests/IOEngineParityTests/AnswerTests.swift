import Glibc
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// What file systems answer that others never do: the same end on every driver, within a bound.
@Suite(.enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
struct AnswerTests {
    /// An errno that the file system gives to one operation, and what becomes of it.
    struct Case: CustomTestStringConvertible, Sendable {
        let operation: AnsweringFile.Operation
        let errno: Int32
        let isDirect: Bool

        var testDescription: String {
            "\(operation) errno \(errno)\(isDirect ? " direct" : "")"
        }
    }

    private static let cases: [Case] =
        [EIO, ECANCELED, EAGAIN, EINTR, ESTALE, EREMOTEIO, EFBIG, EROFS, EBADF, ENOSPC].flatMap {
            errno in
            [
                Case(operation: .read, errno: errno, isDirect: false),
                Case(operation: .read, errno: errno, isDirect: true),
                Case(operation: .write, errno: errno, isDirect: true),
                Case(operation: .write, errno: errno, isDirect: false),
                Case(operation: .sync, errno: errno, isDirect: false),
                Case(operation: .allocate, errno: errno, isDirect: false),
            ]
        }

    private struct Body: DriverBody {
        let step: Case

        func run<Driver: IODriver & ~Copyable>(
            _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
        ) throws {
            guard let served = try AnsweringFile(label: "answers") else { return }
            let file = try IODescriptor.open(
                FilePath(served.path), .readWrite, direct: step.isDirect)
            var runner = try Runner(onContext: false, make)
            served.answer(step.operation, with: step.errno)
            let outcome =
                switch step.operation {
                case .read: try runner.perform(.read(file, into: IOBuffer(capacity: 4096), at: 0))
                case .write: try runner.perform(.write(file, from: IOBuffer(zeroed: 4096), at: 0))
                case .sync: try runner.perform(.sync(file))
                case .allocate: try runner.perform(.allocate(file, at: 0, length: 4096))
                }
            #expect(outcome.errno == Errno(rawValue: step.errno), "\(outcome)")
            #expect(served.count(of: step.operation) <= 80, "asked too often")
            let isPutOff = step.errno == EAGAIN || step.errno == EINTR
            #expect(outcome.reason == .retriesExhausted || !isPutOff, "\(outcome)")
            served.answer(step.operation, with: 0)
            if step.operation == .sync {
                let next = try runner.perform(.sync(file))
                #expect(next.errno == (isPutOff ? nil : Errno(rawValue: step.errno)), "\(next)")
            }
        }
    }

    /// What is put off for ever, with a deadline.
    private struct PutOff: DriverBody {
        let errno: Int32
        let isWrite: Bool

        func run<Driver: IODriver & ~Copyable>(
            _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
        ) throws {
            guard let served = try AnsweringFile(label: "putoff") else { return }
            let file = try IODescriptor.open(FilePath(served.path), .readWrite, direct: true)
            var runner = try Runner(onContext: true, make)
            served.answer(isWrite ? .write : .read, with: errno)
            let limits = IOLimits(deadline: .monotonic().advanced(by: .milliseconds(300)))
            let outcome =
                isWrite
                ? try runner.perform(.write(file, from: IOBuffer(zeroed: 4096), at: 0), limits)
                : try runner.perform(.read(file, into: IOBuffer(capacity: 4096), at: 0), limits)
            #expect(outcome.error != nil && outcome.isSettled, "\(outcome)")
        }
    }

    @Test(
        "direct IO that is put off for ever ends, at the latest with its deadline",
        arguments: DriverName.available, [EAGAIN, EOPNOTSUPP])
    func putOffForEver(_ driver: DriverName, errno: Int32) throws {
        for isWrite in [false, true] {
            try driver.use(PutOff(errno: errno, isWrite: isWrite))
        }
    }

    @Test(
        "an errno of the file system is the same on every driver", arguments: DriverName.available,
        cases)
    func errno(_ driver: DriverName, step: Case) throws {
        // The kernel does these again by itself, for as long as nobody cancels them: see above.
        if driver == .uring, step.errno == EAGAIN, step.isDirect { return }
        try driver.use(Body(step: step))
    }
}
