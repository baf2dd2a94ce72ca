/// A thread that ends by itself and that nobody joins.
package enum HelperThread {
    /// Bytes of stack: system calls and little else.
    private static let stackSize = 512 << 10

    /// Runs `body` on a new thread. Costs about 30 us.
    ///
    /// - Parameter name: As `top -H` and debuggers show it; at most 15 bytes.
    /// - Returns: 0, or the errno with which the system refused (EAGAIN: too many threads).
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Int32 {
        ThreadStart.start(name, stackSize: stackSize, isDetached: true, body).errno
    }
}
