import Testing

@testable import ioengine

/// Numbers as people read them.
struct NumberTests {
    @Test(
        arguments: [
            (0, "0 B"), (9999, "9,999 B"), (10_000, "9.8 KiB"), (102_400, "100 KiB"),
            (1_023_000, "999 KiB"), (1_023_999, "1.0 MiB"), (1 << 20, "1.0 MiB"),
            (10_440_000, "10 MiB"), (1 << 40, "1.0 TiB"), (.max, "8.0 EiB"),
        ] as [(Int64, String)])
    func bytes(_ count: Int64, _ text: String) {
        #expect(Number.bytes(count) == text)
    }

    @Test(
        arguments: [
            (-1, "0 s"), (0, "0 s"), (0.2, "1 s"), (59, "59 s"), (59.5, "1 min 0 s"),
            (125, "2 min 5 s"), (3600, "1 h 0 min"), (12_000, "3 h 20 min"), (.infinity, nil),
        ] as [(Double, String?)])
    func durations(_ seconds: Double, _ text: String?) {
        let found = Number.duration(seconds)
        #expect(text == nil ? found.hasSuffix("min") : found == text)
    }
}
