import IOEngineCore
import TestSupport

/// A file in memory that carries requests out, as `preadv2(2)` would.
final class Device {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Bytes that depend on their place.
    convenience init(size: Int) {
        self.init(pattern(size))
    }

    /// Moves at most `most` bytes. Reads end at the end of the file, writes make it longer.
    ///
    /// Unsafe in here: whoever staged the request keeps its memory until the completion is taken out.
    @discardableResult
    func perform(_ request: IORequest, most: Int = .max) -> Int {
        guard request.action.isTransfer else { return 0 }
        let offset = request.flags.contains(.append) ? bytes.count : Int(request.offset)
        var left = min(most, request.length)
        if request.action.isRead {
            left = max(0, min(left, bytes.count - offset))
        } else if offset + left > bytes.count {
            bytes += [UInt8](repeating: 0, count: offset + left - bytes.count)
        }
        let moved = left
        var position = offset
        for piece in request.pieces where left > 0 {
            let count = min(left, piece.count)
            unsafe bytes.withUnsafeMutableBytes { all in
                let place = unsafe all.baseAddress.unsafelyUnwrapped + position
                if request.action.isRead {
                    unsafe piece.base.copyMemory(from: place, byteCount: count)
                } else {
                    unsafe place.copyMemory(from: piece.base, byteCount: count)
                }
            }
            position += count
            left -= count
        }
        return moved
    }
}

extension IORequest {
    /// Its memory, one piece for a request with one buffer.
    var pieces: [IOVector] {
        guard let address = unsafe address else { return [] }
        guard action.isVectored else {
            return unsafe [IOVector(base: address, count: length)]
        }
        let list = unsafe address.assumingMemoryBound(to: IOVector.self)
        return (0..<Int(vectorCount)).map { unsafe list[$0] }
    }

    var range: Range<Int> { Int(offset)..<Int(offset) + length }
}
