import IOEngineCore

/// Something of the package that owns memory, descriptors or threads, and that is made, used and dropped.
struct Owner {
    let name: String
    /// Makes one, uses it and drops it.
    let body: (Place) throws -> Void

    init(_ name: String, _ body: @escaping (Place) throws -> Void) {
        self.name = name
        self.body = body
    }

    /// Makes and drops many.
    ///
    /// - Returns: What is left of them, in words; empty: nothing.
    func leftovers(rounds: Int, _ place: Place) throws -> [String] {
        // What is made once for the whole process, and tables that have grown to their size.
        for _ in 0..<100 { try body(place) }
        let before = Holdings.atRest()
        for _ in 0..<rounds { try body(place) }
        let after = Holdings.atRest()
        var left: [String] = []
        func compare(_ what: String, _ now: Int, _ then: Int, tolerated: Int = 0) {
            if now - then > tolerated {
                left.append("\(now - then) \(what) (\((now - then) / rounds) a round)")
            }
        }
        // The smallest allocation is 32 bytes with its header.
        compare("bytes of the heap", after.heapBytes, before.heapBytes, tolerated: rounds * 16)
        // The stacks of threads that have just ended are still there.
        compare("mappings", after.mappings, before.mappings, tolerated: 64)
        compare("descriptors", after.descriptors, before.descriptors)
        compare("rings", after.rings, before.rings)
        compare("threads", after.threads, before.threads)
        compare("contexts of Linux AIO", after.contexts, before.contexts)
        compare("requests of fs.aio-nr", after.aioNumber, before.aioNumber)
        return left
    }
}

/// Files for owners to use.
struct Place {
    let path: String
    let buffered: IODescriptor
    let direct: IODescriptor
}
