import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport

typealias HelperContext = IOContext<ClosureCallback, URingDriver>

func makeContext(
    depth: Int = 8, _ configuration: IOContextConfiguration = .init()
) throws -> HelperContext {
    try HelperContext(depth: depth, configuration: configuration) {
        () throws(IOError) in try URingDriver(depth: depth)
    }
}

/// Makes and ends contexts again and again, in every way there is, and looks at what is left.
/// First argument: a path.
func manyContexts(_ arguments: [String]) throws {
    let file = try IODescriptor.open(
        FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
    // A sanitizer may have a thread of its own, from the first of ours on.
    try makeContext().shutdown()
    // Whoever started this may have left descriptors open.
    let before = Possessions.now
    var memory = 0
    for round in 0..<400 {
        if round == 200 {
            check(
                eventually { Possessions.now.threads <= before.threads },
                "threads are left, half way")
            memory = Possessions.now.residentPages
        }
        var configuration = IOContextConfiguration()
        configuration.recordsLatencies = round % 5 == 0
        if round % 2 == 0 { configuration.workers = try IOWorkers(count: 2) }
        let context = try makeContext(depth: 32, configuration)
        for i in 0..<8 {
            _ = context.submit(.write(file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096))
        }
        switch round % 4 {
        case 0: context.shutdown()
        case 1: check(context.shutdown(deadline: .monotonic()).isComplete, "the shutdown")
        case 2:
            _ = context.submit(.noOperation(callback: ClosureCallback { _ in context.shutdown() }))
        default: break
        }
    }
    check(
        eventually { Possessions.now.threads <= before.threads },
        "\(Possessions.now.threads - before.threads) threads are left")
    check(
        eventually { Possessions.now.descriptors <= before.descriptors },
        "\(Possessions.now.descriptors - before.descriptors) descriptors are left")
    let grown = Possessions.now.residentPages - memory
    // Stacks of threads come and go; what is left of each context would add up.
    check(grown < 512, "\(grown) pages of memory are left after 200 contexts")
}
