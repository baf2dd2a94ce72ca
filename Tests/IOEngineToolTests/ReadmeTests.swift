import Foundation
import Testing

/// The README's example is a program that runs.
struct ReadmeTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let readme = root.appendingPathComponent("README.md")

    /// The examples in the README's order of Swift blocks, and what each prints.
    static let examples = [
        ("QuickStart", "read 19 bytes back"), ("LoopQuickStart", "read 19 bytes back"),
    ]

    @Test(arguments: examples.indices)
    func theExampleIsTheProgram(_ index: Int) throws {
        let text = try String(contentsOf: Self.readme, encoding: .utf8)
        let block = try #require(
            text.components(separatedBy: "```swift\n").dropFirst(1 + index).first)
        let example = try #require(block.components(separatedBy: "```").first)
        let main = try String(
            contentsOf: Self.root.appendingPathComponent(
                "DocsSource/Examples/\(Self.examples[index].0)/main.swift"), encoding: .utf8)
        // "import" may also stand in the comment above: the line must begin with it.
        let body =
            main.hasPrefix("import ")
            ? main : String(main[try #require(main.range(of: "\nimport ")).lowerBound...])
        #expect(trimmed(example) == trimmed(body))
    }

    @Test(
        .enabled(if: Machine.hasURing, "\(Machine.needsURing)"), arguments: examples.indices)
    func theExampleRuns(_ index: Int) throws {
        let run = try Executable.run(Self.examples[index].0, in: try Directory())
        #expect(run.status == 0, "\(run.complaint)")
        #expect(run.output.contains(Self.examples[index].1))
    }

    private func trimmed(_ text: String) -> String {
        text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
