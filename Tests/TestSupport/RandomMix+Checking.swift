internal import BasicContainers
internal import IOEngineCore
internal import SystemPackage
internal import Testing

extension RandomMix where Driver: ~Copyable {
    /// Waits for one event and checks all that are finished.
    mutating func finishSome() throws {
        let outcome = loop.wait(minimum: 1)
        #expect(outcome == .ready)
        while var event = loop.next() {
            let value = event.callback?.value
            let number = try #require(value)
            let known = inFlight.removeValue(forKey: number)
            let operation = try #require(known, "each comes back once; \(random.note)")
            let place =
                "operation \(number), \(operation.kind) at \(operation.offset); \(random.note)"
            let outcome = event.outcome
            try #require(outcome.error == nil, "\(place)")
            #expect(outcome.bytes == operation.bytes, "\(place)")
            #expect(outcome.isDone && outcome.isSettled, "\(place)")
            switch operation.kind {
            case .read:
                #expect(outcome.count == operation.bytes, "\(place)")
                let isRight = isEqual(event.buffer.bytes, operation.found)
                try #require(isRight, "\(place)")
            case .readRange:
                let end = operation.rangeStart + operation.bytes
                #expect(outcome.count == outcome.capacity, "what was valid stays; \(place)")
                let isRight = isEqual(
                    event.buffer.bytes.extracting(operation.rangeStart..<end), operation.found)
                try #require(isRight, "\(place)")
                var others = 0
                for i in 0..<operation.rangeStart where event.buffer[i] != 0xee { others += 1 }
                // Behind the end of the file a direct read may leave the rest of a block in the range.
                for i in operation.rangeEnd..<outcome.capacity where event.buffer[i] != 0xee {
                    others += 1
                }
                #expect(others == 0, "bytes beside the range changed; \(place)")
            case .readVectored:
                var all: [UInt8] = []
                var buffers = event.takeBuffers()
                while !buffers.isEmpty {
                    let buffer = buffers.remove(at: 0)
                    for i in 0..<buffer.count { all.append(buffer[i]) }
                }
                try #require(all == operation.found, "\(place)")
            case .write, .append, .allocate, .sync: break
            }
        }
    }

    /// The file as `pread(2)` sees it, on a descriptor of its own.
    func checkWholeFile() throws {
        let file = try FileDescriptor.open(FilePath(path), .readOnly)
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: model.size + 1)
        var count = 0
        while true {
            let here = count
            let more = try unsafe bytes.withUnsafeMutableBytes { all in
                try unsafe file.read(
                    fromAbsoluteOffset: Int64(here),
                    into: UnsafeMutableRawBufferPointer(rebasing: all[here...]))
            }
            if more == 0 { break }
            count += more
        }
        #expect(count == model.size, "\(random.note)")
        #expect(Array(bytes[..<count]) == model.bytes, "the whole file; \(random.note)")
    }
}
