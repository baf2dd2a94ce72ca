internal import Glibc

/// A value as it lies in memory.
public func bytes<T>(of value: inout T) -> [UInt8] {
    unsafe withUnsafeBytes(of: &value) { unsafe Array($0) }
}

/// Whether the bytes are the same. A debug build compares one by one otherwise, with several calls each.
public func areEqual(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>) -> Bool {
    guard first.count == second.count else { return false }
    return unsafe first.withUnsafeBytes { first in
        unsafe second.withUnsafeBytes { second in
            guard let left = first.baseAddress, let right = second.baseAddress else { return true }
            return unsafe memcmp(left, right, first.count) == 0
        }
    }
}
