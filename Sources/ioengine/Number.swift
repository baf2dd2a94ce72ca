/// Numbers as people read them.
enum Number {
    /// Rounded, with a comma between thousands.
    static func grouped(_ value: Double) -> String {
        let digits = Array(String(Int64(value.rounded())))
        var text = ""
        for (i, digit) in digits.enumerated() {
            if i > 0, (digits.count - i) % 3 == 0, digits[i - 1] != "-" { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// With `places` digits behind the point.
    static func fixed(_ value: Double, _ places: Int) -> String {
        var scale: Int64 = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = Int64((value * Double(scale)).rounded())
        if places == 0 { return String(scaled) }
        let fraction = String(scaled.magnitude % UInt64(scale))
        let zeros = String(repeating: "0", count: places - fraction.count)
        return "\(scaled < 0 ? "-" : "")\(scaled.magnitude / UInt64(scale)).\(zeros)\(fraction)"
    }

    /// A number of bytes, rounded to three digits or so: "4,096 B", "1.5 MiB", "812 MiB".
    static func bytes(_ count: Int64) -> String {
        var value = Double(count)
        var units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][...]
        // Up to here they say more exactly what they are.
        if value < 10_000 { return "\(grouped(value)) B" }
        value /= 1024
        while value >= 999.5, units.count > 1 {
            value /= 1024
            units.removeFirst()
        }
        return "\(fixed(value, value < 9.95 ? 1 : 0)) \(units[units.startIndex])"
    }

    /// Seconds as people say them: "7 s", "2 min 5 s", "3 h 20 min".
    static func duration(_ seconds: Double) -> String {
        let all = Int64(min(max(0, seconds.rounded(.up)), 1e15))
        if all < 60 { return "\(all) s" }
        if all < 3600 { return "\(all / 60) min \(all % 60) s" }
        return "\(all / 3600) h \(all % 3600 / 60) min"
    }
}
