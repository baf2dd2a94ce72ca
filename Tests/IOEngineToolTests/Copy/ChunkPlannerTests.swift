import IOEngineCore
import TestSupport
import Testing

@testable import IOEngineCopy

/// Data and holes become chunks, without any file.
struct ChunkPlannerTests {
    /// Runs a planner over data that is known.
    private func chunks(
        _ data: [Range<Int64>], size: Int64, chunkSize: Int, alignment: Int = 1
    ) -> [CopyChunk] {
        var planner = ChunkPlanner(size: size, chunkSize: chunkSize, alignment: alignment)
        var chunks: [CopyChunk] = []
        while true {
            switch planner.step() {
            case .copy(let chunk): chunks.append(chunk)
            case .needsData(let offset):
                let next = data.first { $0.upperBound > offset }
                planner.supply(next.map { max(offset, $0.lowerBound)..<$0.upperBound })
            case .finished: return chunks
            }
        }
    }

    @Test func emptyAndHoles() {
        #expect(chunks([], size: 0, chunkSize: 10).isEmpty)
        #expect(chunks([], size: 1 << 40, chunkSize: 10).isEmpty, "one hole")
        #expect(
            chunks([5..<7], size: 100, chunkSize: 10) == [CopyChunk(offset: 5, length: 2)],
            "holes on both sides")
    }

    @Test func chunksEndAtMultiplesOfTheirSize() {
        #expect(
            chunks([7..<25], size: 25, chunkSize: 10) == [
                CopyChunk(offset: 7, length: 3), CopyChunk(offset: 10, length: 10),
                CopyChunk(offset: 20, length: 5),
            ])
    }

    @Test func dataGrowsToTheAlignment() {
        // The second run begins in the block that the first was rounded up to.
        #expect(
            chunks([5..<9, 10..<12, 30..<31], size: 31, chunkSize: 16, alignment: 8) == [
                CopyChunk(offset: 0, length: 16), CopyChunk(offset: 24, length: 7),
            ])
    }

    @Test func aChunkSizeIsRoundedUpToTheAlignment() {
        let planner = ChunkPlanner(size: 10_000, chunkSize: 1000, alignment: 4096)
        #expect(planner.largestLength == 4096)
        #expect(planner.lengthOfIO(for: CopyChunk(offset: 8192, length: 1808)) == 4096)
        #expect(planner.concurrency(upTo: 8) == 3)
        #expect(planner.concurrency(upTo: 2) == 2)
        #expect(ChunkPlanner(size: 0, chunkSize: 1, alignment: 1).concurrency(upTo: 8) == 1)
        #expect(ChunkPlanner(size: 5, chunkSize: 1 << 20, alignment: 1).largestLength == 5)
    }

    @Test func theLargestFileOverflowsNothing() {
        let size = Int64.max
        let last = chunks([size - 5000..<size], size: size, chunkSize: 4096, alignment: 4096)
        #expect(last.reduce(0) { $0 + $1.length } == 4096 + 4095)
        #expect(last.last.map { $0.offset + Int64($0.length) } == size)
    }

    @Test func dataBehindTheEndIsLeftAlone() {
        // The file grew after it was measured.
        #expect(
            chunks([0..<100], size: 10, chunkSize: 50) == [CopyChunk(offset: 0, length: 10)])
        #expect(chunks([20..<100], size: 10, chunkSize: 50).isEmpty)
    }

    @Test func everyByteOfDataIsInExactlyOneChunk() {
        var random = SeededRandom()
        for round in 0..<2000 {
            let alignment = [1, 4, 16].randomElement(using: &random)!
            let chunkSize = Int.random(in: 1...64, using: &random)
            let rounded = (chunkSize + alignment - 1) / alignment * alignment
            var isData = [Bool]()
            for _ in 0..<Int.random(in: 0...8, using: &random) {
                let run = Bool.random(using: &random)
                isData += Array(repeating: run, count: Int.random(in: 1...70, using: &random))
            }
            let size = isData.count
            var data: [Range<Int64>] = []
            for i in isData.indices where isData[i] {
                if let last = data.last, last.upperBound == Int64(i) {
                    data[data.count - 1] = last.lowerBound..<Int64(i + 1)
                } else {
                    data.append(Int64(i)..<Int64(i + 1))
                }
            }
            let note: Comment = "round \(round), \(random.note): \(data) of \(size)"
            var covered = Array(repeating: 0, count: size)
            var position: Int64 = 0
            for chunk in chunks(
                data, size: Int64(size), chunkSize: chunkSize, alignment: alignment)
            {
                #expect(chunk.offset >= position && chunk.length > 0, note)
                #expect(chunk.length <= rounded, note)
                #expect(chunk.offset % Int64(alignment) == 0, note)
                position = chunk.offset + Int64(chunk.length)
                #expect(position <= size, note)
                #expect(position % Int64(alignment) == 0 || position == size, note)
                // Not across a boundary.
                #expect(
                    chunk.offset / Int64(rounded) == (position - 1) / Int64(rounded), note)
                for i in Int(chunk.offset)..<Int(position) { covered[i] += 1 }
            }
            for i in 0..<size {
                let block = i / alignment * alignment..<min(size, (i / alignment + 1) * alignment)
                let expected = isData[block].contains(true) ? 1 : 0
                if covered[i] != expected {
                    Issue.record("byte \(i) is covered \(covered[i]) times; \(note)")
                    break
                }
            }
        }
    }
}

/// Looks at a counter become what people want to know.
struct CopyMeterTests {
    private func at(_ seconds: Int) -> IOInstant {
        IOInstant(nanoseconds: Int64(seconds) * 1_000_000_000)
    }

    @Test func aSteadyRateTellsTheTimeLeft() {
        var meter = CopyMeter(total: 1000, start: at(10))
        for i in 1...5 {
            let progress = meter.look(
                .copying, done: Int64(100 * i), at: at(10 + i))
            #expect(progress.bytesPerSecond == 100)
            #expect(progress.secondsLeft == Double(10 - i))
            #expect(progress.bytesDone == Int64(100 * i) && progress.bytesTotal == 1000)
        }
    }

    @Test func whatNobodyCanKnowIsNotSaid() {
        var meter = CopyMeter(total: 1000, start: at(0))
        #expect(meter.look(.copying, done: 0, at: at(0)).secondsLeft == nil)
        #expect(meter.look(.copying, done: 0, at: at(1)).secondsLeft == nil)
        #expect(meter.look(.copying, done: 500, at: at(2)).secondsLeft != nil)
        #expect(meter.look(.syncing, done: 1000, at: at(3)).secondsLeft == nil)
    }

    @Test func aJumpIsSmoothed() {
        var meter = CopyMeter(total: 10_000, start: at(0))
        _ = meter.look(.copying, done: 100, at: at(1))
        let jump = meter.look(.copying, done: 500, at: at(2))
        #expect(jump.bytesPerSecond > 100 && jump.bytesPerSecond < 400)
    }
}
