import Testing

@testable import IOEngineCore

@Suite struct EventStateMachineTests {
    typealias Machine = EventStateMachine
    typealias Step = EventStateMachine.Step

    /// A machine with a request in flight.
    func inFlight(_ traits: Machine.Traits) -> Machine {
        var machine = Machine()
        machine.accept(traits)
        machine.staged()
        return machine
    }

    @Test func everyCompletionOverEveryStateOtherThanInFlightIsIgnored() {
        for state in Machine.State.allCases where state != .inFlight {
            for result in [-5, 0, 1, 4096] {
                var machine = inFlight(.transfer)
                machine.state = state
                let before = machine
                var moved = 7
                let step = machine.completed(
                    result, requested: 4096, transferred: &moved, length: 4096)
                #expect(step == .ignore)
                #expect(machine == before && moved == 7)
            }
        }
    }

    @Test(arguments: [Machine.Traits.transfer, [.transfer, .write]])
    func aWholeTransferFinishes(_ traits: Machine.Traits) {
        var machine = inFlight(traits)
        var moved = 0
        #expect(
            machine.completed(4096, requested: 4096, transferred: &moved, length: 4096) == .finish)
        #expect(moved == 4096 && machine.state == .finished)
    }

    @Test func aWholePartOfALargerEventGoesOn() {
        for extra: Machine.Traits in [[], .handsOver] {
            var machine = inFlight([.transfer, extra])
            var moved = 0
            #expect(
                machine.completed(100, requested: 100, transferred: &moved, length: 250) == .next)
            #expect(moved == 100 && machine.state == .waiting)
        }
    }

    @Test func aShortTransferContinuesOrIsHandedOver() {
        var moved = 0
        var machine = inFlight(.transfer)
        #expect(machine.completed(1, requested: 100, transferred: &moved, length: 100) == .next)
        for traits: Machine.Traits in [
            [.transfer, .handsOver], [.transfer, .write, .single],
        ] {
            moved = 0
            machine = inFlight(traits)
            #expect(
                machine.completed(99, requested: 100, transferred: &moved, length: 100) == .finish)
            #expect(moved == 99)
        }
    }

    @Test func zeroBytesAreTheEndForAReadAndAnErrorForAWrite() {
        var moved = 10
        var machine = inFlight(.transfer)
        #expect(machine.completed(0, requested: 90, transferred: &moved, length: 100) == .finish)
        machine = inFlight([.transfer, .write])
        guard
            case .fail(let failure) = machine.completed(
                0, requested: 90, transferred: &moved, length: 100)
        else {
            Issue.record("a write of nothing must fail")
            return
        }
        #expect(failure.errno == Errnos.ioError && failure.reason == .zeroWrite)
        #expect(moved == 10)
    }

    @Test func moreBytesThanAskedAreNotCredited() {
        var moved = 0
        var machine = inFlight(.transfer)
        guard
            case .fail(let failure) = machine.completed(
                101, requested: 100, transferred: &moved, length: 100)
        else {
            Issue.record("must fail")
            return
        }
        #expect(failure.reason == .excessTransfer && moved == 0)
    }

    @Test func interruptionsAreRetriedWithinABoundThatProgressResets() {
        var machine = inFlight(.transfer)
        var moved = 0
        for round in 0..<3 {
            for _ in 0..<Machine.maximumRetries {
                #expect(
                    machine.completed(
                        -Int(Errnos.interrupted), requested: 10, transferred: &moved, length: 1000)
                        == .again(mayBlock: false))
                machine.staged()
            }
            #expect(
                machine.completed(1, requested: 10, transferred: &moved, length: 1000) == .next)
            #expect(moved == round + 1)
            machine.staged()
        }
        for _ in 0..<Machine.maximumRetries {
            #expect(
                machine.completed(
                    -Int(Errnos.again), requested: 10, transferred: &moved, length: 1000)
                    == .again(mayBlock: true))
            machine.staged()
        }
        #expect(
            machine.completed(-Int(Errnos.again), requested: 10, transferred: &moved, length: 1000)
                == .fail(IOFailure(errno: Errnos.again, reason: .retriesExhausted)))
    }

    @Test func anAgainThatWasAskedForIsHandedOver() {
        var machine = inFlight([.transfer, .noWait])
        var moved = 0
        #expect(
            machine.completed(-Int(Errnos.again), requested: 10, transferred: &moved, length: 10)
                == .fail(.kernel(Errnos.again)))
    }

    @Test func onlyARefusedContinuationLooksAtTheFile() {
        var moved = 0
        var machine = inFlight(.transfer)
        let refusal = -Int(Errnos.invalidArgument)
        #expect(
            machine.completed(refusal, requested: 10, transferred: &moved, length: 10)
                == .fail(.kernel(Errnos.invalidArgument)))
        moved = 5000
        machine = inFlight(.transfer)
        #expect(
            machine.completed(refusal, requested: 10, transferred: &moved, length: 8192) == .examine
        )
        // At the end of the file: done.
        var atEnd = machine
        #expect(
            atEnd.examined(offset: 0, size: 5000, alignment: 512, transferred: &moved) == .finish)
        #expect(moved == 5000)
        // Before it: back to an aligned place.
        var before = machine
        #expect(
            before.examined(offset: 0, size: 9000, alignment: 512, transferred: &moved) == .next)
        #expect(moved == 4608 && before.state == .waiting)
        // Aligned already: the refusal stands.
        moved = 4096
        var aligned = machine
        #expect(
            aligned.examined(offset: 0, size: 9000, alignment: 512, transferred: &moved)
                == .fail(.kernel(Errnos.invalidArgument)))
        // A write at the end of the file has not ended: it goes back.
        moved = 5000
        var write = inFlight([.transfer, .write])
        #expect(
            write.completed(refusal, requested: 10, transferred: &moved, length: 8192) == .examine)
        #expect(write.examined(offset: 0, size: 5000, alignment: 512, transferred: &moved) == .next)
    }

    @Test func whatMustStayWholeIsNotRewound() {
        var machine = inFlight([.transfer, .write, .single])
        var moved = 1000
        #expect(
            machine.completed(
                -Int(Errnos.invalidArgument), requested: 10, transferred: &moved, length: 2000)
                == .fail(.kernel(Errnos.invalidArgument)))
        #expect(moved == 1000)
    }

    @Test func rewindsAreBounded() {
        var machine = inFlight(.transfer)
        var moved = 0
        for _ in 0..<Machine.maximumRewinds {
            #expect(
                machine.completed(100, requested: 8192, transferred: &moved, length: 8192) == .next)
            machine.staged()
            #expect(
                machine.completed(
                    -Int(Errnos.invalidArgument), requested: 1, transferred: &moved, length: 8192)
                    == .examine)
            #expect(
                machine.examined(offset: 0, size: 9000, alignment: 512, transferred: &moved)
                    == .next)
            #expect(moved == 0)
            machine.staged()
        }
        moved = 100
        #expect(
            machine.completed(
                -Int(Errnos.invalidArgument), requested: 1, transferred: &moved, length: 8192)
                == .fail(.kernel(Errnos.invalidArgument)))
    }

    @Test func whatMovesNoBytesFinishesOrFails() {
        var moved = 0
        var machine = inFlight([])
        #expect(machine.completed(0, requested: 0, transferred: &moved, length: 4096) == .finish)
        machine = inFlight([])
        #expect(
            machine.completed(-5, requested: 0, transferred: &moved, length: 0)
                == .fail(.kernel(5)))
        machine = inFlight([])
        #expect(
            machine.completed(
                -Int(Errnos.invalidArgument), requested: 0, transferred: &moved, length: 0)
                == .fail(.kernel(Errnos.invalidArgument)))
    }

    // MARK: Held, abandoned, stopped

    @Test func whatIsHeldBeginsWhenItIsReleasedOrIsRefused() {
        var machine = Machine()
        machine.accept(.transfer)
        machine.hold()
        #expect(machine.state == .held)
        var refused = machine
        refused.refuse()
        #expect(refused.state == .finished)
        refused.handedOver()
        #expect(refused.state == .vacant)
        machine.release()
        #expect(machine.state == .waiting)
        machine.staged()
        #expect(machine.state == .inFlight)
    }

    @Test func whatIsAbandonedIgnoresItsCompletionAndIsVacantOnceSettled() {
        var machine = inFlight([.transfer, .stopping])
        machine.abandon()
        var moved = 3
        let step = machine.completed(10, requested: 10, transferred: &moved, length: 13)
        #expect(step == .ignore && moved == 3 && machine.state == .abandoned)
        machine.settled()
        #expect(machine.state == .vacant)
        // As new: the next event in the slot is not stopped.
        machine.accept(.transfer)
        #expect(machine.traits == .transfer && machine.retries == 0 && machine.rewinds == 0)
    }

    @Test(
        "no further request is made of what is stopped, whatever its last one answered",
        arguments: [
            (-Int(Errnos.interrupted), 0), (-Int(Errnos.again), 0), (40, 40),
        ])
    func nothingFollowsAStop(_ result: Int, _ expected: Int) {
        for traits: Machine.Traits in [.transfer, [.transfer, .write], [.transfer, .mayBlock]] {
            var machine = inFlight([traits, .stopping])
            var moved = 0
            let step = machine.completed(
                result, requested: 100, transferred: &moved, length: 100)
            #expect(step == .fail(.cancelled) && moved == expected)
            #expect(machine.state == .finished)
        }
    }

    @Test func aWholePartOfWhatIsStoppedIsTheLast() {
        var machine = inFlight([.transfer, .stopping])
        var moved = 0
        #expect(
            machine.completed(100, requested: 100, transferred: &moved, length: 250)
                == .fail(.cancelled))
        #expect(moved == 100)
    }

    @Test func aContinuationOfWhatIsStoppedIsNotTriedAgainElsewhere() {
        var machine = inFlight([.transfer, .stopping])
        var moved = 5000
        #expect(
            machine.completed(
                -Int(Errnos.invalidArgument), requested: 10, transferred: &moved, length: 8192)
                == .examine)
        // The end is the end, also for what is stopped; before it nothing more is read.
        var atEnd = machine
        #expect(
            atEnd.examined(offset: 0, size: 5000, alignment: 512, transferred: &moved) == .finish)
        #expect(
            machine.examined(offset: 0, size: 9000, alignment: 512, transferred: &moved)
                == .fail(.cancelled))
    }

    @Test func successStaysSuccessAndFailureFailureUnderAStop() {
        var moved = 0
        var machine = inFlight([.transfer, .stopping])
        #expect(
            machine.completed(100, requested: 100, transferred: &moved, length: 100) == .finish)
        machine = inFlight([.transfer, .stopping])
        moved = 50
        #expect(machine.completed(0, requested: 50, transferred: &moved, length: 100) == .finish)
        machine = inFlight([.transfer, .stopping, .handsOver])
        moved = 0
        #expect(machine.completed(60, requested: 100, transferred: &moved, length: 100) == .finish)
        machine = inFlight(.stopping)
        moved = 0
        #expect(machine.completed(0, requested: 0, transferred: &moved, length: 0) == .finish)
        machine = inFlight([.transfer, .stopping])
        #expect(
            machine.completed(
                -Int(Errnos.ioError), requested: 100, transferred: &moved, length: 100)
                == .fail(.kernel(Errnos.ioError)))
    }

    @Test func theTransitionsAreThoseOfThePicture() {
        let allowed: [(String, Set<Machine.State>, @Sendable (inout Machine) -> Void)] = [
            ("accept", [.vacant], { $0.accept([]) }),
            ("hold", [.waiting], { $0.hold() }),
            ("release", [.held], { $0.release() }),
            ("refuse", [.waiting, .held], { $0.refuse() }),
            ("staged", [.waiting], { $0.staged() }),
            ("abandon", [.inFlight], { $0.abandon() }),
            ("settled", [.abandoned], { $0.settled() }),
            ("handedOver", [.finished], { $0.handedOver() }),
        ]
        let after: [String: Machine.State] = [
            "accept": .waiting, "hold": .held, "release": .waiting, "refuse": .finished,
            "staged": .inFlight, "abandon": .abandoned, "settled": .vacant, "handedOver": .vacant,
        ]
        for (name, states, transition) in allowed {
            for state in states {
                var machine = Machine()
                machine.state = state
                transition(&machine)
                #expect(machine.state == after[name], "\(name) of \(state)")
            }
        }
    }
}
