public import BasicContainers
public import SystemPackage

extension IOEvent where Callback: ~Copyable {
    /// A transfer with one buffer.
    @inlinable
    init(
        _ action: IOAction, descriptor: Int32, object: IODescriptor?, buffer: consuming IOBuffer,
        offset: Int64, range: Range<Int>?, callback: consuming Callback?
    ) {
        let whole = action == .read ? buffer.capacity : buffer.count
        self.init(
            action, descriptor: descriptor, object: object, buffer: buffer, offset: offset,
            rangeStart: range?.lowerBound ?? 0, length: range?.count ?? whole,
            movesWholeBuffer: range == nil, callback: callback)
    }

    /// Reads into a buffer, from its start, as many bytes as it has capacity. Afterwards exactly the
    /// bytes that were read are valid.
    ///
    /// - Parameters:
    ///   - offset: Bytes from the start of the file.
    ///   - range: Reads only into these bytes of the buffer, and leaves what else is valid. It must
    ///     not start behind the valid bytes, so that no gap arises (EINVAL). A direct read that meets
    ///     the end of the file may change the rest of its last block too.
    @inlinable
    public static func read(
        _ descriptor: IODescriptor, into buffer: consuming IOBuffer, at offset: Int64,
        range: Range<Int>? = nil, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .read, descriptor: descriptor.rawValue, object: descriptor, buffer: buffer,
            offset: offset, range: range, callback: callback)
    }

    /// The same on a plain descriptor, which the caller keeps open until the event is finished.
    @inlinable
    public static func read(
        _ descriptor: FileDescriptor, into buffer: consuming IOBuffer, at offset: Int64,
        range: Range<Int>? = nil, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .read, descriptor: descriptor.rawValue, object: nil, buffer: buffer,
            offset: offset, range: range, callback: callback)
    }

    /// Writes the valid bytes of a buffer, or those in `range`, all of which must be valid.
    @inlinable
    public static func write(
        _ descriptor: IODescriptor, from buffer: consuming IOBuffer, at offset: Int64,
        range: Range<Int>? = nil, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .write, descriptor: descriptor.rawValue, object: descriptor, buffer: buffer,
            offset: offset, range: range, callback: callback)
    }

    /// The same on a plain descriptor, which the caller keeps open until the event is finished.
    @inlinable
    public static func write(
        _ descriptor: FileDescriptor, from buffer: consuming IOBuffer, at offset: Int64,
        range: Range<Int>? = nil, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .write, descriptor: descriptor.rawValue, object: nil, buffer: buffer,
            offset: offset, range: range, callback: callback)
    }

    /// Reads into several buffers, one after the other, each filled before the next. Costs two
    /// allocations when it is made, none when it is submitted again.
    @inlinable
    public static func read(
        _ descriptor: IODescriptor, into buffers: consuming UniqueArray<IOBuffer>, at offset: Int64,
        callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .readVectored, descriptor: descriptor.rawValue, object: descriptor, buffer: IOBuffer(),
            vectored: IOVectorStorage(buffers), offset: offset, length: 0, movesWholeBuffer: true,
            callback: callback)
    }

    /// The same on a plain descriptor, which the caller keeps open until the event is finished.
    @inlinable
    public static func read(
        _ descriptor: FileDescriptor, into buffers: consuming UniqueArray<IOBuffer>,
        at offset: Int64, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .readVectored, descriptor: descriptor.rawValue, object: nil, buffer: IOBuffer(),
            vectored: IOVectorStorage(buffers), offset: offset, length: 0, movesWholeBuffer: true,
            callback: callback)
    }

    /// Writes the valid bytes of several buffers, one behind the other.
    @inlinable
    public static func write(
        _ descriptor: IODescriptor, from buffers: consuming UniqueArray<IOBuffer>, at offset: Int64,
        callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .writeVectored, descriptor: descriptor.rawValue, object: descriptor, buffer: IOBuffer(),
            vectored: IOVectorStorage(buffers), offset: offset, length: 0, movesWholeBuffer: true,
            callback: callback)
    }

    /// The same on a plain descriptor, which the caller keeps open until the event is finished.
    @inlinable
    public static func write(
        _ descriptor: FileDescriptor, from buffers: consuming UniqueArray<IOBuffer>,
        at offset: Int64, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .writeVectored, descriptor: descriptor.rawValue, object: nil, buffer: IOBuffer(),
            vectored: IOVectorStorage(buffers), offset: offset, length: 0, movesWholeBuffer: true,
            callback: callback)
    }

    /// Makes what was written before durable.
    @inlinable
    public static func sync(
        _ descriptor: IODescriptor, _ extent: IOSyncExtent = .full,
        callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            extent.action, descriptor: descriptor.rawValue, object: descriptor, buffer: IOBuffer(),
            offset: 0, length: 0, movesWholeBuffer: false, callback: callback)
    }

    /// The same on a plain descriptor, which the caller keeps open until the event is finished.
    @inlinable
    public static func sync(
        _ descriptor: FileDescriptor, _ extent: IOSyncExtent = .full,
        callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            extent.action, descriptor: descriptor.rawValue, object: nil, buffer: IOBuffer(),
            offset: 0, length: 0, movesWholeBuffer: false, callback: callback)
    }

    /// Reserves, releases or zeroes the space of a range of the file.
    @inlinable
    public static func allocate(
        _ descriptor: IODescriptor, _ mode: IOAllocationMode = .extend, at offset: Int64,
        length: Int, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .allocate, descriptor: descriptor.rawValue, object: descriptor, buffer: IOBuffer(),
            offset: offset, rangeStart: Int(mode.rawValue), length: length, movesWholeBuffer: false,
            callback: callback)
    }

    /// The same on a plain descriptor, which the caller keeps open until the event is finished.
    @inlinable
    public static func allocate(
        _ descriptor: FileDescriptor, _ mode: IOAllocationMode = .extend, at offset: Int64,
        length: Int, callback: consuming Callback? = nil
    ) -> IOEvent {
        IOEvent(
            .allocate, descriptor: descriptor.rawValue, object: nil, buffer: IOBuffer(),
            offset: offset, rangeStart: Int(mode.rawValue), length: length, movesWholeBuffer: false,
            callback: callback)
    }

    /// Goes through the driver and does nothing.
    @inlinable
    public static func noOperation(callback: consuming Callback? = nil) -> IOEvent {
        IOEvent(
            .noOperation, descriptor: -1, object: nil, buffer: IOBuffer(),
            offset: 0, length: 0, movesWholeBuffer: false, callback: callback)
    }
}

/// How much a sync makes durable.
@frozen
public enum IOSyncExtent: Hashable, Sendable {
    /// The data, and the metadata needed to read it back: `fdatasync(2)`.
    case data
    /// The data and all metadata: `fsync(2)`.
    case full

    @inlinable
    var action: IOAction {
        switch self {
        case .data: .syncData
        case .full: .syncFull
        }
    }
}
