/// What a copy was.
public struct CopyReport: Equatable, Sendable {
    /// Where it is.
    public var path: String
    /// The file's size.
    public var bytes: Int64
    /// Bytes of it that were read and written; the rest are holes.
    public var bytesMoved: Int64
    /// From the first look at the source until the copy was durable under its name.
    public var seconds: Double
    /// Short name of the driver.
    public var driver: String
    /// What could not be kept, and why.
    public var notes: [String]
}
