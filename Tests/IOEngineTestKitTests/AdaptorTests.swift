import IOEngineMock
import IOEngineTestKit
import Testing
import ToyDriver
import XCTest

/// The contract in both test frameworks, in the words of its documentation.
@Suite struct AdaptorTests {
    @Test func swiftTesting() {
        DriverContract.check(rules: [.transfers, .tokens]) { ToyDriver(depth: $0) }
            .forEachFailure { Issue.record("\($0)") }
    }
}

final class ContractXCTests: XCTestCase {
    func testTheContract() {
        DriverContract.check(rules: [.transfers, .tokens]) { ToyDriver(depth: $0) }
            .forEachFailure { XCTFail($0) }
    }
}
