import IOEngineCore
import IOEngineURing

/// A loop that is pulled: no callbacks.
typealias PulledLoop = IOLoop<NoCallback, URingDriver>

extension IOLoop where Callback == NoCallback, Driver == URingDriver {
    static func make(
        depth: Int = 8, _ configuration: URingConfiguration = .init()
    ) throws -> PulledLoop {
        try PulledLoop(
            depth: depth, driver: try URingDriver(depth: depth, configuration: configuration))
    }
}
