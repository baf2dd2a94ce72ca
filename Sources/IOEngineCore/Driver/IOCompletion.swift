/// What became of a request.
@frozen
public struct IOCompletion: Sendable {
    /// The token of the request.
    public var token: IOToken
    /// Bytes moved, or 0 for an action that moves none, or a negative errno.
    public var result: Int

    @inlinable
    public init(token: IOToken, result: Int) {
        self.token = token
        self.result = result
    }
}
