internal import IOEngineCore

/// Faults, and how often each was met.
struct FaultPlan {
    fileprivate struct Entry {
        var fault: IOFault
        /// Bit by ``IOAction`` raw value.
        var actions: UInt16
        /// The file that it is for, where files are known; nil: any.
        var file: Int?
        var seen = 0
    }

    private var entries: [Entry] = []

    mutating func add(_ fault: IOFault, file: Int? = nil) {
        var bits: UInt16 = 0
        // The order of a set varies; what is joined here does not.
        for action in fault.actions { bits |= 1 << action.rawValue }
        entries.append(Entry(fault: fault, actions: bits, file: file))
    }

    mutating func removeAll() { entries.removeAll() }

    /// What becomes of a request, nil: nothing out of the ordinary.
    mutating func effect(
        for request: IORequest, file: Int?, _ random: inout SimulationRandom
    ) -> IOFault.Effect? {
        if entries.isEmpty { return nil }
        var effect: IOFault.Effect?
        for i in entries.indices where entries[i].fits(request, file) {
            entries[i].seen += 1
            // Drawn whether or not an earlier fault decides: each is independent of the others.
            let isMet = entries[i].isMet(&random)
            if isMet, effect == nil { effect = entries[i].fault.effect }
        }
        return effect
    }
}

extension FaultPlan.Entry {
    fileprivate func fits(_ request: IORequest, _ requestFile: Int?) -> Bool {
        let action = request.action
        guard actions & 1 << UInt16(action.rawValue) != 0, fault.effect.applies(to: action) else {
            return false
        }
        if let file, file != requestFile { return false }
        if let descriptor = fault.descriptor, descriptor != request.descriptor { return false }
        if !request.flags.isSuperset(of: fault.flags) { return false }
        guard let range = fault.range else { return true }
        guard action.isTransfer || action == .allocate else { return false }
        let end = request.offset.addingReportingOverflow(Int64(request.length))
        return request.offset < range.upperBound
            && (end.overflow || end.partialValue > range.lowerBound)
    }

    fileprivate func isMet(_ random: inout SimulationRandom) -> Bool {
        switch fault.occurrence {
        case .each: true
        case .first(let count): seen <= count
        case .nth(let number): seen == number
        case .after(let count): seen > count
        case .oneIn(let times): random.isOne(in: times)
        }
    }
}
