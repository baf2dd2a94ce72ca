import IOEngineMock
import Synchronization
import SystemPackage
import Testing

@testable import IOEngineCore

/// Events that are looked at where they lie are replaced by others, and descriptors closed and dropped
/// meanwhile, two objects of one number among them. Afterwards nothing is held and nothing is left.
@Suite struct DescriptorHoldTests {
    final class World {
        var chance: Chance
        let device = MockDevice()
        var objects: [IODescriptor] = []
        let plain: Int32
        /// Events that may still be submitted.
        var left = 400
        private let watched: [Watched]

        struct Watched { weak var object: IODescriptor? }

        init(seed: UInt64) {
            chance = Chance(seed: seed)
            for _ in 0..<3 {
                let file = device.makeFile(Array(repeating: 7, count: 4096))
                objects.append(file)
                objects.append(IODescriptor(simulated: file.rawValue, facts: file.facts))
            }
            plain = objects[0].rawValue
            watched = objects.map { Watched(object: $0) }
        }

        func makeEvent(_ callback: consuming Looker?) -> IOEvent<Looker> {
            let offset = Int64(chance.below(64) * 8)
            let object = objects[chance.below(objects.count)]
            switch chance.below(10) {
            case 0:
                return .read(
                    FileDescriptor(rawValue: plain), into: IOBuffer(capacity: 8), at: offset,
                    callback: callback)
            case 1...4:
                return .read(object, into: IOBuffer(capacity: 8), at: offset, callback: callback)
            case 5, 6:
                return .write(
                    object, from: IOBuffer(copying: [1, 2, 3, 4, 5, 6, 7, 8]), at: offset,
                    callback: callback)
            case 7: return .sync(object, callback: callback)
            case 8:
                var event: IOEvent<Looker> = .read(
                    object, into: IOBuffer(capacity: 8), at: offset, callback: callback)
                event.flags = .noWait
                return event
            default:
                return .read(object, into: IOBuffer(capacity: 8), at: -5, callback: callback)
            }
        }

        /// True: again.
        func look(_ event: inout IOEvent<Looker>) -> Bool {
            if chance.below(40) == 0 { _ = try? objects[chance.below(objects.count)].close() }
            if chance.below(60) == 0, objects.count > 2 {
                objects.remove(at: chance.below(objects.count))
            }
            if left == 0 { return false }
            left -= 1
            switch chance.below(5) {
            case 0: return false
            case 1, 2: event = makeEvent(event.callback.take())
            default: event.restart(at: Int64(chance.below(64) * 8))
            }
            return true
        }

        func checkHolds(_ seed: UInt64) {
            for case let object? in watched.map(\.object) {
                let holds = object.state.load(ordering: .relaxed) & 0xffff_ffff
                #expect(holds == 0, "seed \(seed)")
            }
        }

        func checkEnd(_ seed: UInt64) {
            #expect(device.violations.isEmpty)
            objects = []
            #expect(watched.allSatisfy { $0.object == nil }, "seed \(seed): an object is left")
        }
    }

    struct Looker: IOCallback {
        // Unchecked by hand: one thread at a time has the world.
        nonisolated(unsafe) let world: World

        static func resubmits(_ event: inout IOEvent<Looker>) -> Bool {
            guard let callback = event.callback else { return false }
            return unsafe callback.world.look(&event)
        }

        consuming func call(
            _ event: consuming IOEvent<Looker>, _ submitter: borrowing IOSubmitter<Looker>
        ) {
            let world = unsafe self.world
            guard world.left > 0, world.chance.happens(50) else { return }
            world.left -= 1
            _ = submitter.submit(world.makeEvent(Looker(world: world)))
        }
    }

    private func check(_ loop: borrowing IOLoop<Looker, MockDriver>, _ world: World) {
        #expect(unsafe loop.core.pointee.freeCount == 5)
        #expect(unsafe loop.core.pointee.heldSyncs == 0 && loop.core.pointee.heldCount == 0)
        for object in world.objects {
            guard let record = unsafe loop.core.pointee.table.find(object.rawValue) else {
                continue
            }
            #expect(unsafe record.pointee.inFlight == 0 && record.pointee.objectInFlight == 0)
            #expect(unsafe record.pointee.writesOpen == 0)
            let isHeld = unsafe record.pointee.object != nil
            #expect(!isHeld)
        }
    }

    @Test(arguments: [false, true])
    func loopsHoldNothingAfterwards(callsBack: Bool) throws {
        for seed in 0..<200 as Range<UInt64> {
            let world = World(seed: seed)
            do {
                var loop = try IOLoop<Looker, MockDriver>(
                    depth: 5, driver: world.device.makeDriver(depth: 5))
                for _ in 0..<5 {
                    _ = loop.submit(world.makeEvent(callsBack ? Looker(world: world) : nil))
                }
                while loop.inFlight > 0 {
                    if callsBack {
                        loop.run(minimum: Int(seed % 3))
                    } else {
                        _ = loop.wait()
                        loop.forEachFinished { world.look(&$0) ? .submitAgain : .release }
                    }
                }
                world.checkHolds(seed)
                check(loop, world)
            }
            world.checkEnd(seed)
        }
    }

    @Test func contextsHoldNothingAfterwards() throws {
        for seed in 0..<100 as Range<UInt64> {
            let world = World(seed: seed)
            let device = world.device
            let context = try IOContext<Looker, MockDriver>(depth: 5) { () throws(IOError) in
                device.makeDriver(depth: 5)
            }
            // One event is the start: from then on the world is the loop's, until the shutdown.
            let first = world.makeEvent(Looker(world: world))
            _ = context.submit(first)
            context.shutdown()
            world.checkHolds(seed)
            world.checkEnd(seed)
        }
    }
}
