internal import CLinux
internal import Glibc
internal import IOEngineCore
internal import SystemPackage

extension BenchTarget {
    /// A file or device of the user's: nothing of it is changed unless `plan.overwrite` says so.
    static func openExisting(
        _ path: String, _ plan: inout BenchPlan
    ) throws(BenchError) -> BenchTarget {
        if plan.workload.writes, !plan.overwrite {
            throw BenchError(
                "\(path) exists and --rw \(plan.workload.rawValue) would destroy what is in it; "
                    + "give --overwrite if you mean that, or another path.")
        }
        let isDirect = plan.direct ?? false
        let mayWrite = plan.overwrite && (plan.workload.writes || plan.fileState == .written)
        let file = try openChecked(path, writing: mayWrite, direct: isDirect)
        let isDevice = file.facts.kind == .blockDevice
        if isDevice {
            plan.size = min(plan.size, Int(clamping: file.facts.size))
            try plan.validateSize()
        } else if file.facts.size < plan.size {
            throw BenchError(
                "\(path) has only \(file.facts.size) bytes; "
                    + "give --size at most that, or a path that does not exist yet.")
        }
        try checkAlignment(file, isDirect, plan)
        let state: FileState =
            isDevice ? .device : .ofFile(file, extent: plan.extent, direct: isDirect)
        return BenchTarget(
            file: file, isDirect: isDirect, isTemporary: false, name: path, state: state,
            needsLayout: try needsLayout(path, state, plan))
    }

    private static func openChecked(
        _ path: String, writing: Bool, direct: Bool
    ) throws(BenchError) -> IODescriptor {
        var status = stat()
        var options: FileDescriptor.OpenOptions = []
        if unsafe stat(path, &status) == 0 {
            switch status.st_mode & S_IFMT {
            case S_IFREG: break
            case S_IFBLK:
                // Without O_CREAT it means: refuse a device that is mounted or otherwise in use.
                if writing { options.insert(.exclusiveCreate) }
            case S_IFDIR:
                throw BenchError("\(path) is a directory; give a file inside it.")
            default:
                throw BenchError("\(path) has no offsets; give a file or a block device.")
            }
        }
        return try open(path, writing ? .readWrite : .readOnly, options, direct: direct)
    }

    /// Whether the file has to be written first to be what was asked for.
    private static func needsLayout(
        _ path: String, _ state: FileState, _ plan: BenchPlan
    ) throws(BenchError) -> Bool {
        switch plan.fileState {
        case .written where state == .written && !plan.overwrite && !plan.verify:
            return false
        case .written:
            if plan.overwrite { return true }
            throw BenchError(
                "\(path) exists and --file-state written would write all of it; "
                    + "give --overwrite if you mean that, or another path.")
        case .unwritten where state != .unwritten:
            throw BenchError(
                "\(path) is \(state == .device ? "a device" : state.rawValue), "
                    + "which cannot be undone; "
                    + "leave --file-state out, or give a path that does not exist yet.")
        default:
            return false
        }
    }
}
