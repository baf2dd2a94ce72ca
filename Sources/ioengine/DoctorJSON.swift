internal import IOEngine
internal import SystemPackage

/// What `doctor` found, for scripts: one object, its keys in alphabetical order.
enum DoctorJSON {
    static func text(_ report: SystemReport) throws -> String {
        try ReportJSON.text(
            JSONValue.object([
                "system": system(report.surroundings),
                "depth": JSONValue(report.depth),
                "drivers": .list(report.drivers.map(driver)),
                "chosen": JSONValue(report.choice?.chosen?.rawValue),
                "reason": JSONValue(report.choice?.reason.rawValue),
                "error": JSONValue(report.choiceError?.description),
                "uring": report.uring.map(uring) ?? .null,
                "path": report.path.map(path) ?? .null,
                "findings": .list(
                    report.findings.map {
                        .object([
                            "level": JSONValue($0.level.rawValue),
                            "subject": JSONValue($0.subject), "text": JSONValue($0.text),
                        ])
                    }),
            ]))
    }

    private static func system(_ system: Surroundings) -> JSONValue {
        .object([
            "kernel": JSONValue(system.kernel),
            "uringDisabled": JSONValue(system.uringDisabled),
            "hasSeccompFilter": JSONValue(system.hasSeccompFilter),
            "aioUsed": JSONValue(system.aioUsed),
            "aioLimit": JSONValue(system.aioLimit),
            "memoryLockLimitBytes": JSONValue(system.memoryLockLimitBytes),
            "ignoresMemoryLockLimit": JSONValue(system.ignoresMemoryLockLimit),
            "descriptorLimit": JSONValue(system.descriptorLimit),
            "descriptorLimitMaximum": JSONValue(system.descriptorLimitMaximum),
        ])
    }

    private static func driver(_ attempt: DriverReport.Attempt) -> JSONValue {
        .object([
            "driver": JSONValue(attempt.driver.rawValue),
            "isGranted": JSONValue(attempt.isGranted),
            "errno": JSONValue(attempt.error?.errno.rawValue),
            "setUp": JSONValue(attempt.isGranted ? attempt.setUp : nil),
            "advice": JSONValue(attempt.isGranted ? nil : attempt.advice),
        ])
    }

    private static func uring(_ uring: URingReport) -> JSONValue {
        var memoryErrno: Int32?
        if case .unavailable(let errno) = uring.memoryRegistration { memoryErrno = errno }
        return .object([
            "flags": JSONValue(uring.flags),
            "features": JSONValue(uring.features),
            "operations": JSONValue(uring.operations),
            "missingOperations": uring.missingOperations.map { JSONValue($0) } ?? .null,
            "submissionCapacity": JSONValue(uring.submissionCapacity),
            "completionCapacity": JSONValue(uring.completionCapacity),
            "hasIndexArray": JSONValue(uring.hasIndexArray),
            "boundedWorkers": JSONValue(uring.kernelWorkers.bounded.map(Int.init)),
            "registeredDescriptors": JSONValue(uring.registeredDescriptors),
            "memoryBytes": JSONValue(uring.memoryBytes),
            "memoryErrno": JSONValue(memoryErrno),
        ])
    }

    private static func path(_ path: PathReport) -> JSONValue {
        .object([
            "path": JSONValue(path.path),
            "kind": JSONValue("\(path.kind)"),
            "sizeBytes": JSONValue(path.size),
            "fileSystem": path.fileSystem.map {
                .object([
                    "name": JSONValue($0.name), "mountPoint": JSONValue($0.mountPoint),
                    "source": JSONValue($0.source), "isReadOnly": JSONValue($0.isReadOnly),
                    "isInMemory": JSONValue($0.isInMemory),
                ])
            } ?? .null,
            "device": path.device.map {
                .object([
                    "logicalSectorBytes": JSONValue($0.logicalSectorBytes),
                    "physicalSectorBytes": JSONValue($0.physicalSectorBytes),
                    "isRotational": JSONValue($0.isRotational),
                ])
            } ?? .null,
            "direct": .object([
                "isSupported": JSONValue(path.direct.isSupported),
                "offsetAlignment": JSONValue(path.direct.offsetAlignment),
                "readOffsetAlignment": JSONValue(path.direct.readOffsetAlignment),
                "memoryAlignment": JSONValue(path.direct.memoryAlignment),
                "source": JSONValue(path.direct.source.rawValue),
            ]),
            "atomicWrites": path.atomicWrites.map {
                .object([
                    "minimumBytes": JSONValue($0.minimumBytes),
                    "maximumBytes": JSONValue($0.maximumBytes),
                    "optimumBytes": JSONValue($0.optimumBytes),
                    "maximumVectors": JSONValue($0.maximumVectors),
                ])
            } ?? .null,
            "advice": .object(
                Dictionary(
                    uniqueKeysWithValues: DriverKind.allCases.map {
                        ($0.rawValue, JSONValue(path.advice(for: $0)))
                    })),
        ])
    }
}
