internal import IOEngine
internal import SystemPackage

/// What `doctor` found, for people.
enum DoctorText {
    static func text(_ report: SystemReport) -> String {
        var sections = [system(report.surroundings), drivers(report)]
        if let uring = report.uring { sections.append(self.uring(uring)) }
        if let path = report.path { sections.append(self.path(path)) }
        sections.append(findings(report.findings))
        return sections.joined(separator: "\n\n")
    }

    private typealias Line = (title: String, value: String)

    /// A heading and aligned lines under it; long values go on below themselves.
    private static func section(_ heading: String, _ lines: [Line]) -> String {
        let width = lines.map(\.title.count).max() ?? 0
        return
            ([heading]
            + lines.map { line in
                let gap = String(repeating: " ", count: width - line.title.count)
                let indent = String(repeating: " ", count: width + 4)
                return "  \(line.title)\(gap)  "
                    + wrapped(line.value, to: 98 - width).joined(separator: "\n" + indent)
            }).joined(separator: "\n")
    }

    /// Broken at blanks.
    private static func wrapped(_ text: String, to width: Int) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if last.count + 1 + word.count <= width {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }

    private static func system(_ system: Surroundings) -> String {
        func number(_ value: (any BinaryInteger)?, _ none: String) -> String {
            value.map { "\($0)" } ?? none
        }
        let lock =
            system.memoryLockLimitBytes.map { Number.bytes(Int64(clamping: $0)) } ?? "unlimited"
        return section(
            "System",
            [
                ("kernel", system.kernel),
                (
                    "io_uring_disabled",
                    number(system.uringDisabled, "no such sysctl")
                ),
                ("seccomp filter", system.hasSeccompFilter ? "yes" : "no"),
                (
                    "AIO requests",
                    "\(number(system.aioUsed, "?")) taken of \(number(system.aioLimit, "?")) "
                        + "(fs.aio-nr, fs.aio-max-nr)"
                ),
                (
                    "memory lock",
                    lock
                        + (system.ignoresMemoryLockLimit
                            ? ", not binding here (CAP_IPC_LOCK)" : " (RLIMIT_MEMLOCK)")
                ),
                (
                    "descriptors",
                    "\(number(system.descriptorLimit, "unlimited")), at most "
                        + "\(number(system.descriptorLimitMaximum, "unlimited")) (RLIMIT_NOFILE)"
                ),
            ])
    }

    private static func drivers(_ report: SystemReport) -> String {
        var lines = report.drivers.map { attempt -> Line in
            guard let error = attempt.error else {
                return (attempt.driver.rawValue, "works: \(attempt.setUp)")
            }
            return (
                attempt.driver.rawValue,
                "refused with errno \(error.errno.rawValue) (\(error.errno)): \(attempt.advice)"
            )
        }
        lines.append(("chosen", chosen(report)))
        return section("Drivers, best first, for a depth of \(report.depth)", lines)
    }

    private static func chosen(_ report: SystemReport) -> String {
        guard let choice = report.choice else {
            return "none: \(report.choiceError?.advice ?? "unknown")"
        }
        let who =
            switch choice.reason {
            case .automatic: "the best that works"
            case .environment: "as \(SystemDriverConfiguration.environmentVariable) says"
            case .configuration: "as the program says"
            }
        guard let driver = choice.chosen else {
            return choice.reason == .automatic
                ? "none works" : "none: what is asked for, \(who), does not work"
        }
        return "\(driver.rawValue), \(who)"
    }

    private static func uring(_ uring: URingReport) -> String {
        let memory =
            switch uring.memoryRegistration {
            case .registered: "can be registered"
            case .unavailable(let errno):
                "cannot be registered: errno \(errno) (\(Errno(rawValue: errno)))"
            }
        return section(
            "io_uring, as granted",
            [
                ("flags", uring.flags.joined(separator: " ")),
                ("features", uring.features.joined(separator: " ")),
                (
                    "operations",
                    uring.operations.isEmpty
                        ? "the kernel does not say" : uring.operations.joined(separator: " ")
                ),
                (
                    "queues",
                    "\(uring.submissionCapacity) submissions, "
                        + "\(uring.completionCapacity) completions, "
                        + (uring.hasIndexArray
                            ? "an index array, which kernels before Linux 6.6 need"
                            : "no index array (NO_SQARRAY), which spares a look-up each")
                ),
                (
                    "workers",
                    uring.kernelWorkers.bounded.map {
                        "at most \($0) that may wait for files and block devices"
                    } ?? "the kernel does not say how many there may be"
                ),
                ("descriptors", "\(uring.registeredDescriptors) places to register them"),
                ("memory", "\(Number.bytes(Int64(uring.memoryBytes))) \(memory)"),
            ])
    }

    private static func path(_ path: PathReport) -> String {
        var lines: [Line] = []
        switch path.kind {
        case .directory: lines.append(("kind", "directory; what follows is for files in it"))
        case .blockDevice: lines.append(("kind", "block device, \(Number.bytes(path.size))"))
        default: lines.append(("kind", "file, \(Number.bytes(path.size))"))
        }
        if let system = path.fileSystem {
            lines.append(
                (
                    "file system",
                    "\(system.name) at \(system.mountPoint), from \(system.source)"
                        + (system.isReadOnly ? ", read-only" : "")
                ))
        } else if path.kind != .blockDevice {
            lines.append(("file system", "unknown"))
        }
        if let device = path.device {
            lines.append(
                (
                    "sectors",
                    "\(device.logicalSectorBytes) B logical, \(device.physicalSectorBytes) B "
                        + "physical"
                        + (device.isRotational == true ? ", rotational" : "")
                ))
        }
        lines.append(("direct IO", direct(path.direct)))
        lines.append(("atomic writes", atomic(path.atomicWrites)))
        for driver in DriverKind.allCases {
            if let advice = path.advice(for: driver) {
                lines.append(("with \(driver.rawValue)", advice))
            }
        }
        return section(path.path, lines)
    }

    private static func direct(_ direct: DirectIOReport) -> String {
        let source =
            switch direct.source {
            case .kernel: "as the kernel says"
            case .trial: "found by trial"
            case .device: "guessed from the device's sectors"
            case .none: "unknown"
            }
        switch direct.isSupported {
        case false: return "not here (\(source))"
        case nil where direct.offsetAlignment == nil: return "unknown"
        default: break
        }
        guard let offset = direct.offsetAlignment, let memory = direct.memoryAlignment else {
            return "works; its alignment is unknown"
        }
        if offset == 1, memory == 1 { return "any alignment (\(source))" }
        let reads =
            direct.readOffsetAlignment.flatMap { $0 == offset ? nil : ", reads of \($0) B" } ?? ""
        return "offset and length in multiples of \(offset) B\(reads), memory of \(memory) B "
            + "(\(source))"
    }

    private static func atomic(_ units: AtomicWriteUnits?) -> String {
        guard let units else { return "the kernel does not tell (Linux 6.11 does, for some files)" }
        guard units.isOffered else { return "none" }
        let optimum =
            units.optimumBytes > 0 && units.optimumBytes != units.maximumBytes
            ? ", best up to \(units.optimumBytes) B" : ""
        return "\(units.minimumBytes) to \(units.maximumBytes) B\(optimum), at most "
            + "\(units.maximumVectors) vectors"
    }

    private static func findings(_ findings: [SystemReport.Finding]) -> String {
        if findings.isEmpty { return "Advice\n  nothing to change" }
        return section("Advice", findings.map { ("\($0.level.rawValue): \($0.subject)", $0.text) })
    }
}
