internal import IOEngineCore
internal import SystemPackage

/// Finds the best set-up that the kernel grants, by doing: each rung sets a ring up with its final
/// flags and sends one real read through it.
struct SetUpLadder {
    let depth: Int
    let configuration: URingConfiguration
    let wakeUp: WakeUpDescriptor
    /// What was tried and how it ended, in order.
    private var log: [String] = []

    init(depth: Int, configuration: URingConfiguration, wakeUp: WakeUpDescriptor) {
        self.depth = depth
        self.configuration = configuration
        self.wakeUp = wakeUp
    }

    var report: String { log.joined(separator: "; ") }

    mutating func climb() throws(IOError) -> Ring {
        var last: Int32 = 0
        var call = "io_uring_setup"
        climbing: for rung in URingConfiguration.Rung.allCases
        where rung.rawValue >= configuration.firstRung.rawValue {
            for hasIndexArray in configuration.hasIndexArray.map({ [$0] }) ?? [false, true] {
                let name = "\(rung) \(hasIndexArray ? "with" : "without") an index array"
                var parameters = makeParameters(rung, hasIndexArray)
                do throws(RingError) {
                    var ring = try Ring(entries: UInt32(depth), parameters: &parameters)
                    let answer = probe(&ring)
                    if answer == 0 {
                        log.append("granted \(Self.names(of: ring.flags, ring.features))")
                        log.append(
                            "submission queue \(ring.hasIndexArray ? "with" : "without") an index "
                                + "array")
                        log.append(
                            "completion queue of \(ring.completionCapacity) for depth \(depth)")
                        return ring
                    }
                    ring.close()
                    last = answer
                    call = "io_uring_enter"
                    log.append("\(name): a read answered \(ErrnoName(answer))")
                } catch {
                    last = error.errno
                    call = "io_uring_setup"
                    log.append("\(name): refused with \(ErrnoName(error.errno))")
                    // Neither flag nor rung: io_uring as such is not to be had.
                    if [Errno.noFunction, .notPermitted, .permissionDenied]
                        .contains(Errno(rawValue: error.errno))
                    {
                        break climbing
                    }
                }
            }
        }
        throw IOError(
            operation: .setUp, errno: Errno(rawValue: last),
            advice: Self.advice(Errno(rawValue: last), call) + " (" + report + ")")
    }

    private func makeParameters(
        _ rung: URingConfiguration.Rung, _ hasIndexArray: Bool
    ) -> URingParameters {
        var parameters = URingParameters()
        parameters.flags = URingConstants.setUpCompletionQueueSize
        if !hasIndexArray { parameters.flags |= URingConstants.setUpNoIndexArray }
        // Room for every request, the cancellation of each, and the entry that listens for wake-ups.
        parameters.completionEntries = min(
            UInt32(2 * depth + URingDriver.internalEntries), URingDriver.maximumCompletions)
        switch rung {
        case .deferred:
            parameters.flags |= URingConstants.setUpSingleIssuer | URingConstants.setUpSubmitAll
            if configuration.submissionPolling == nil {
                parameters.flags |=
                    URingConstants.setUpDeferTaskRun | URingConstants.setUpTaskRunFlag
            }
        case .cooperative:
            parameters.flags |= URingConstants.setUpSubmitAll
            if configuration.submissionPolling == nil {
                parameters.flags |=
                    URingConstants.setUpCooperative | URingConstants.setUpTaskRunFlag
            }
        case .plain:
            break
        }
        if let polling = configuration.submissionPolling {
            parameters.flags |= URingConstants.setUpSubmissionPolling
            parameters.pollingIdleMilliseconds = polling.idleMilliseconds
            if let cpu = polling.cpu {
                parameters.flags |= URingConstants.setUpPollingAffinity
                parameters.pollingProcessor = cpu
            }
        }
        return parameters
    }

    /// One real read, of the eventfd that later wakes the ring. 0, or a positive errno.
    private func probe(_ ring: inout Ring) -> Int32 {
        wakeUp.post()
        let counter = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        unsafe counter.initialize(to: 0)
        guard ring.features & URingConstants.featureExtendedArgument != 0,
            let entry = unsafe ring.nextEntry()
        else {
            unsafe counter.deallocate()
            return Errno.notSupported.rawValue
        }
        unsafe entry.pointee = URingEntry(listeningTo: wakeUp.descriptor, counter)
        unsafe entry.pointee.userData = InternalEntry.probe
        // One second is ages for a read that is ready; a few interruptions are no failure.
        for _ in 0..<16 {
            let answer = ring.enter(minimum: 1, timeout: 1_000_000_000)
            if ring.ready > 0 {
                let result = unsafe ring.completion(0).pointee.result
                ring.advance(1)
                unsafe counter.deallocate()
                return result == 8 ? 0 : -min(result, -1)
            }
            // The entry may be in flight and its memory written to: leaked on purpose.
            if answer < 0, answer != -Errno.interrupted.rawValue { return -answer }
        }
        return Errno.timedOut.rawValue
    }

    /// Places for registered descriptors, all of them empty (Linux 5.5); 0 when there are none.
    mutating func reservePlaces(in ring: borrowing Ring, _ count: UInt32) -> Int {
        if count == 0 { return 0 }
        var none = [Int32](repeating: -1, count: Int(count))
        let answer = unsafe ring.register(.descriptors, &none, count: none.count)
        if answer == 0 { return Int(count) }
        log.append("registered descriptors: refused with \(ErrnoName(-answer))")
        return 0
    }

    /// Sees to it that as many kernel workers as there are requests may block (Linux 5.15), or as
    /// many as asked for. Returns the limits in force, as far as the kernel says.
    mutating func limitWorkers(
        of ring: borrowing Ring, _ limits: URingConfiguration.KernelWorkers
    ) -> URingConfiguration.KernelWorkers {
        // Zeros change nothing: the array then holds what is in force, for all rings of this
        // thread.
        var found: [UInt32] = [0, 0]
        var answer = unsafe ring.register(.workerLimits, &found, count: found.count)
        let enough = max(found[0], UInt32(min(depth, Self.mostWorkers)))
        let wanted = [limits.bounded ?? enough, limits.unbounded ?? found[1]]
        if answer == 0, wanted != found {
            var values = wanted
            answer = unsafe ring.register(.workerLimits, &values, count: values.count)
        }
        guard answer == 0 else {
            log.append("kernel workers: refused with \(ErrnoName(-answer))")
            return URingConfiguration.KernelWorkers()
        }
        // Those for what may wait for ever, sockets and pipes, are never used.
        log.append("kernel workers: at most \(wanted[0]) for files and block devices")
        return URingConfiguration.KernelWorkers(bounded: wanted[0], unbounded: wanted[1])
    }

    /// Workers that are allowed where nothing is asked for. Each takes about 25 KiB of the kernel's
    /// memory while it lives.
    private static let mostWorkers = 1024

    private static func names(of flags: UInt32, _ features: UInt32) -> String {
        var names: [String] = []
        func add(_ flag: UInt32, _ name: String) { if flags & flag != 0 { names.append(name) } }
        add(URingConstants.setUpSubmissionPolling, "submission polling")
        add(URingConstants.setUpSingleIssuer, "single issuer")
        add(URingConstants.setUpDeferTaskRun, "deferred task run")
        add(URingConstants.setUpCooperative, "cooperative task run")
        add(URingConstants.setUpSubmitAll, "submit-all")
        if features & URingConstants.featureNoIOWait != 0 { names.append("no-iowait") }
        return names.isEmpty ? "plain flags" : names.joined(separator: ", ")
    }

    /// - Parameter call: The system call that answered it.
    private static func advice(_ errno: Errno, _ call: String) -> String {
        switch errno {
        case .noFunction:
            "this kernel has no io_uring, or a seccomp filter hides it; allow \(call) in the "
                + "container's seccomp profile, or use another driver"
        case .notPermitted, .permissionDenied:
            "io_uring is forbidden here; set the sysctl kernel.io_uring_disabled to 0, allow "
                + "\(call) in the container's seccomp profile, or use another driver"
        case .noMemory:
            "not enough memory for the ring; raise RLIMIT_MEMLOCK (ulimit -l) or use a smaller depth"
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem:
            "too many open files; raise RLIMIT_NOFILE (ulimit -n)"
        default:
            "no set-up of io_uring works here; use another driver"
        }
    }
}

/// An errno for the set-up report.
struct ErrnoName: CustomStringConvertible {
    let errno: Errno
    init(_ number: Int32) { errno = Errno(rawValue: number) }
    var description: String { "\(errno.rawValue) (\(errno))" }
}
