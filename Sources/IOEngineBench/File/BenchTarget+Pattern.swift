internal import Glibc
internal import IOEngineCore

extension BenchTarget {
    /// Reads that are to be verified need something to be verified against. Throws a sentence when
    /// the file was never written, or not with this seed.
    func checkPattern(_ plan: BenchPlan) throws(BenchError) {
        let remedy = "give --file-state written" + (isTemporary ? "" : " --overwrite")
        switch state {
        case .unwritten, .partlyWritten:
            throw BenchError(
                "There is nothing to verify in \(name): it is \(state.rawValue); "
                    + "\(remedy), which writes the pattern first.")
        case .written, .device:
            var block = IOBuffer(zeroed: plan.blockSize)
            var bytes = block.mutableBytes
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe pread(file.rawValue, $0.baseAddress, $0.count, 0)
            }
            guard count < 0 || BlockPattern.isMarked(block, seed: plan.seed) else {
                throw BenchError(
                    "\(name) does not carry the pattern of seed \(plan.seed); "
                        + "give the --seed it was written with, "
                        + "or \(remedy), which writes the pattern first.")
            }
        }
    }
}
