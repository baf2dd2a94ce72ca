import Glibc

enum TestEnvironment {
    /// A number from an environment variable.
    static func number(_ name: String) -> Int? {
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe Int(String(cString: text))
    }
}
