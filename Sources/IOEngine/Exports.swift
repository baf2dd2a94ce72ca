// One import for most programs: events, contexts and loops, and every driver that the kernel serves.
@_exported public import IOEngineAIO
@_exported public import IOEngineCore
@_exported public import IOEngineThreads
@_exported public import IOEngineURing
