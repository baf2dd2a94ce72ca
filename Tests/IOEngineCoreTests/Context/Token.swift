import TestSupport

/// Something that exists once: queues must neither lose nor double it.
struct Token: ~Copyable {
    let number: Int
    private let alive: Counter

    init(_ number: Int, _ alive: Counter) {
        self.number = number
        self.alive = alive
        alive.add()
    }

    /// The number of what was taken out, if anything was.
    static func number(_ token: consuming Token?) -> Int? {
        guard let token else { return nil }
        return token.number
    }

    deinit { alive.add(-1) }
}
