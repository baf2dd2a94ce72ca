/// A value as it lies in memory.
public func bytes<T>(of value: inout T) -> [UInt8] {
    unsafe withUnsafeBytes(of: &value) { unsafe Array($0) }
}
