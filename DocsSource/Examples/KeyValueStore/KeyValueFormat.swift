/// Sizes and places, in bytes.
enum KeyValueFormat {
    static let logSize: Int64 = 2400
    static let tableSize = 1024

    /// Checkpoints take the two places of the table in turn.
    static func place(of checkpoint: UInt32) -> Int64 { Int64(checkpoint % 2) * Int64(tableSize) }

    /// FNV-1a, 64 bits. What is all zero does not fit it.
    static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return sum
    }
}

extension [UInt8] {
    mutating func append<Number: FixedWidthInteger>(number: Number) {
        for place in stride(from: 0, to: Number.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: number >> place))
        }
    }
}

extension ArraySlice<UInt8> {
    /// Takes a number off the front; there are enough bytes.
    mutating func takeNumber<Number: FixedWidthInteger>(_ type: Number.Type) -> Number {
        var number: Number = 0
        for byte in prefix(Number.bitWidth / 8).reversed() {
            number = number << 8 | Number(truncatingIfNeeded: byte)
        }
        removeFirst(Number.bitWidth / 8)
        return number
    }
}

/// A change, as it stands in the log.
struct LogRecord {
    static let size = 24
    var checkpoint: UInt32
    var key: UInt32
    var value: UInt64

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: checkpoint)
        bytes.append(number: key)
        bytes.append(number: value)
        bytes.append(number: KeyValueFormat.checksum(bytes[...]))
        return bytes
    }
}

extension LogRecord {
    /// The record at the start of the bytes; nil if it is not whole.
    init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count >= LogRecord.size else { return nil }
        var rest = bytes.prefix(LogRecord.size)
        let sum = KeyValueFormat.checksum(rest.prefix(16))
        checkpoint = rest.takeNumber(UInt32.self)
        key = rest.takeNumber(UInt32.self)
        value = rest.takeNumber(UInt64.self)
        if rest.takeNumber(UInt64.self) != sum { return nil }
    }
}

/// A checkpoint, as it stands in the table: up to 84 values.
struct TableImage {
    var number: UInt32
    var values: [UInt32: UInt64]

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: number)
        bytes.append(number: UInt32(values.count))
        for key in values.keys.sorted() {
            bytes.append(number: key)
            bytes.append(number: values[key] ?? 0)
        }
        bytes += [UInt8](repeating: 0, count: KeyValueFormat.tableSize - 8 - bytes.count)
        bytes.append(number: KeyValueFormat.checksum(bytes[...]))
        return bytes
    }
}

extension TableImage {
    /// Nil if it is not whole.
    init?(bytes: [UInt8]) {
        let size = KeyValueFormat.tableSize
        guard bytes.count == size else { return nil }
        var sum = bytes[(size - 8)...]
        guard sum.takeNumber(UInt64.self) == KeyValueFormat.checksum(bytes[..<(size - 8)]) else {
            return nil
        }
        var rest = bytes[...]
        number = rest.takeNumber(UInt32.self)
        let count = rest.takeNumber(UInt32.self)
        values = [:]
        for _ in 0..<count {
            let key = rest.takeNumber(UInt32.self)
            values[key] = rest.takeNumber(UInt64.self)
        }
    }
}
