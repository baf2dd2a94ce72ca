/// A number of bytes as people write it: `4096`, `4k`, `1m`, `1GiB`.
public enum ByteCount {
    /// Reads a number with an optional unit, all of them powers of 1024: k, m, g, t in either case,
    /// each also with B or iB behind it. Nil when it is none, or larger than an Int.
    public static func parse(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
        guard let number = Int(digits), let shift = shift(text.dropFirst(digits.count)) else {
            return nil
        }
        let (bytes, overflowed) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflowed ? nil : bytes
    }

    /// Binary logarithm of the unit.
    private static func shift(_ unit: Substring) -> Int? {
        switch unit.lowercased() {
        case "", "b": 0
        case "k", "kb", "kib": 10
        case "m", "mb", "mib": 20
        case "g", "gb", "gib": 30
        case "t", "tb", "tib": 40
        default: nil
        }
    }

    /// The shortest exact way to write it: 4096 is "4k", 4097 is "4097".
    public static func text(_ bytes: Int) -> String {
        var bytes = bytes
        for unit in ["", "k", "m", "g"] {
            if bytes == 0 || bytes % 1024 != 0 { return "\(bytes)\(unit)" }
            bytes /= 1024
        }
        return "\(bytes)t"
    }
}
