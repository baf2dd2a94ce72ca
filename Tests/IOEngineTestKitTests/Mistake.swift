import IOEngineTestKit

/// What a driver can do wrong. Each mistake breaks one rule more than the others.
enum Mistake: String, CaseIterable, Sendable {
    case hasNoName
    case dropsACompletion
    case completesTwice
    case losesWhatIsCancelled
    case forgetsTheGeneration
    case ignoresTheDepth
    case refusesBelowTheDepth
    case doesWhatItRefused
    case losesWhatDoesNotFit
    case passesDeadlinesEarly
    case neverWaits
    case waitsUnasked
    case losesEarlyWakeUps
    case hidesWakeUps
    case losesWakeUpsBetweenWaits
    case losesWakeUpsWhenBusy
    case waitsOnAfterAWakeUp
    case findsNoTimeForWakeUps
    case isHauntedByItsWaker
    case waitsBusily
    case returnsForEver
    case cancelsInWordsOnly
    case cancelsBySlotAlone
    case readsAfterItsEnd
    case writesAfterItsEnd
    case touchesWhatLiesBehind
    case writesToMemoryLate
    case takesTheWrongOffset
    case acknowledgesWritesEarly
    case failsAtTheEndOfFile
    case reportsShortReadsWhole
    case forgetsTheLastVector
    case acknowledgesSyncsNotDone
    case leavesOutFlags
    case allocatesNothing
    case answersPositiveErrnos
    case failsNeighbours
    case ignoresHasten
    case goesBackInTime
    case describesWrongly
    case registersInWordsOnly
    case mixesUpManyResults
    case readsDirectories
    case losesContinuations
    case cancelsWhenHastened

    var rule: ContractRule {
        switch self {
        case .hasNoName: .capabilities
        case .dropsACompletion, .completesTwice, .losesWhatIsCancelled: .exactlyOnce
        case .forgetsTheGeneration: .tokens
        case .ignoresTheDepth, .refusesBelowTheDepth: .depth
        case .doesWhatItRefused: .full
        case .losesWhatDoesNotFit: .reaping
        case .passesDeadlinesEarly, .neverWaits, .waitsUnasked: .deadlines
        case .losesEarlyWakeUps, .hidesWakeUps: .waking
        case .losesWakeUpsBetweenWaits: .earlyWaking
        case .losesWakeUpsWhenBusy, .waitsOnAfterAWakeUp, .findsNoTimeForWakeUps: .busyWaking
        case .isHauntedByItsWaker: .lateWaking
        case .waitsBusily: .idling
        case .returnsForEver: .progress
        case .cancelsInWordsOnly: .cancelling
        case .cancelsBySlotAlone: .cancellingNothing
        case .readsAfterItsEnd, .writesAfterItsEnd: .dropping
        case .touchesWhatLiesBehind, .writesToMemoryLate: .memory
        case .takesTheWrongOffset: .transfers
        case .acknowledgesWritesEarly: .visibility
        case .failsAtTheEndOfFile, .reportsShortReadsWhole: .endOfFile
        case .forgetsTheLastVector: .vectors
        case .acknowledgesSyncsNotDone: .syncs
        case .leavesOutFlags: .flags
        case .allocatesNothing: .allocating
        case .answersPositiveErrnos: .errors
        case .failsNeighbours: .neighbours
        case .ignoresHasten: .hastening
        case .goesBackInTime: .clock
        case .describesWrongly: .inspecting
        case .registersInWordsOnly: .registration
        case .mixesUpManyResults: .mixture
        case .readsDirectories: .loopErrors
        case .losesContinuations: .loopTransfers
        case .cancelsWhenHastened: .loopEnds
        }
    }

    /// The rule whose check finds it, where that is not the one that is broken.
    var checkedBy: ContractRule { self == .losesWhatIsCancelled ? .cancelling : rule }
}
