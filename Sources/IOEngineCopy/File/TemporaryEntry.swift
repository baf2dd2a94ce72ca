internal import Glibc
internal import IOEngineCore
internal import Synchronization

/// A name in a directory that must not stay. Removed once, by whoever comes first.
final class TemporaryEntry: Sendable {
    /// Held open, so that its number means the same directory for as long as this lives.
    let directory: IODescriptor
    let name: String
    private let isThere = Atomic<Bool>(true)

    /// The name exists, or is about to.
    init(_ name: String, in directory: IODescriptor) {
        self.name = name
        self.directory = directory
    }

    func remove() {
        if forget() { unsafe unlinkat(directory.rawValue, name, 0) }
    }

    /// The name is gone, or is somebody else's. False: that was known.
    @discardableResult
    func forget() -> Bool { isThere.exchange(false, ordering: .acquiringAndReleasing) }

    deinit { remove() }

    /// A second attempt is rare, a sixteenth is somebody's intention.
    static let attempts = 16

    /// A hidden name that nobody has, most likely: one of 36^10.
    static func newName() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return ".ioengine-copy-\(String((0..<10).map { _ in letters.randomElement()! })).tmp"
    }
}
