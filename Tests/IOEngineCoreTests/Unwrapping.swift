/// `#require` for what cannot be copied.
func unwrap<Value: ~Copyable>(_ value: consuming Value?) throws -> Value {
    switch consume value {
    case .some(let value): return value
    case .none: throw Missing()
    }
}

struct Missing: Error {}
