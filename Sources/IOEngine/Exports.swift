// One import for most programs: events, contexts and loops, every driver that the kernel serves, and the
// layer that joins requests.
@_exported public import IOEngineAIO
@_exported public import IOEngineCore
@_exported public import IOEngineMerge
@_exported public import IOEngineThreads
@_exported public import IOEngineURing
