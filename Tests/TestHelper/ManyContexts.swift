import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage

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
    // A sanitizer may have a thread of its own.
    let threads = count("/proc/self/task")
    // Whoever started this may have left some open.
    let descriptors = count("/proc/self/fd")
    var memory = 0
    for round in 0..<400 {
        if round == 200 {
            check(settle { count("/proc/self/task") <= threads }, "threads are left, half way")
            memory = residentPages()
        }
        var configuration = IOContextConfiguration()
        configuration.recordsLatencies = round % 5 == 0
        if round % 2 == 0 { configuration.workers = try IOWorkers(count: 2) }
        let context = try makeContext(depth: 32, configuration)
        for i in 0..<8 {
            context.submit(.write(file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096))
        }
        switch round % 4 {
        case 0: context.shutdown()
        case 1: check(context.shutdown(deadline: .monotonic()).isComplete, "the shutdown")
        case 2: context.submit(.noOperation(callback: ClosureCallback { _ in context.shutdown() }))
        default: break
        }
    }
    check(
        settle { count("/proc/self/task") <= threads },
        "\(count("/proc/self/task") - threads) threads are left")
    check(
        settle { count("/proc/self/fd") <= descriptors },
        "\(count("/proc/self/fd") - descriptors) descriptors are left")
    let grown = residentPages() - memory
    // Stacks of threads come and go; what is left of each context would add up.
    check(grown < 512, "\(grown) pages of memory are left after 200 contexts")
}

private func settle(_ isSo: () -> Bool) -> Bool {
    for _ in 0..<10_000 {
        if isSo() { return true }
        usleep(1000)
    }
    return isSo()
}

/// Entries of a folder.
private func count(_ path: String) -> Int {
    guard let folder = unsafe opendir(path) else { return -1 }
    defer { unsafe closedir(folder) }
    var count = -2
    while unsafe readdir(folder) != nil { count += 1 }
    return count
}

private func residentPages() -> Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard unsafe fgets(&line, 128, file) != nil else { return 0 }
    let text = String(
        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
}
